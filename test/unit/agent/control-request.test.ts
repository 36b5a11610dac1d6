/** Why an agent cannot be asked: nobody is there, or the socket is root's. */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { controlRequest, unreachable } from '../../../src/agent/control/control-request.js';

let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(`${tmpdir()}/understudy-control-`);
});
afterAll(() => rm(directory, { recursive: true, force: true }));

it('says that nobody answers', async () => {
  await expect(controlRequest(`${directory}/none`, 'GET', '/v1/version')).rejects.toMatchObject({
    code: 'AGENT_UNREACHABLE',
  });
});

it('says that nobody answers when whoever does hangs up', async () => {
  const path = `${directory}/rude`;
  const server = createServer((socket) => socket.destroy()).listen(path);
  await expect(controlRequest(path, 'GET', '/v1/version')).rejects.toMatchObject({
    code: 'AGENT_UNREACHABLE',
  });
  server.close();
});

// Tests run as root, who may open every socket.
it('says that it takes root', () => {
  const refused = Object.assign(new Error('connect EACCES'), { code: 'EACCES' });
  expect(unreachable('/s', refused)).toMatchObject({ code: 'AGENT_SOCKET_FORBIDDEN' });
});
