/** A session's status as its agent asks for it, from a control socket that the test serves. */

import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sessionPaths } from '../../../src/agent/session/session-control.js';
import { SessionProcess } from '../../../src/agent/session/session-process.js';

const name = { domain: 'vm', role: 'primary' } as const;
const status = { ...name, state: 'protected', term: 1, since: '', sessionPid: process.pid };

let directory: string;
let server: Server | undefined;

beforeEach(async () => {
  directory = await mkdtemp(`${tmpdir()}/understudy-session-`);
});
afterEach(async () => {
  server?.closeAllConnections();
  server?.close();
  await rm(directory, { recursive: true, force: true });
});

async function session(listener: RequestListener): Promise<SessionProcess> {
  const paths = { ...sessionPaths(directory, name.domain, name.role), socket: `${directory}/s` };
  const serving = createServer(listener);
  server = serving;
  await new Promise<void>((resolve) => serving.listen(paths.socket, resolve));
  return SessionProcess.adopt({ name, paths, card: { pid: process.pid } }, () => undefined);
}

it('asks a second time before it calls a session silent', async () => {
  let asked = 0;
  const adopted = await session((_request, response) => {
    asked += 1;
    if (asked > 1) response.end(JSON.stringify(status));
  });
  expect(await adopted.status()).toEqual(status);
  expect(asked).toBe(2);
});

it('calls a session silent that never answers', async () => {
  const adopted = await session(() => undefined);
  expect(await adopted.status()).toMatchObject({
    state: 'failed',
    reason: { code: 'AGENT_SESSION_SILENT' },
  });
});

describe('what is asked of a session whose socket is gone', () => {
  /** A process that ends when its standard input does. */
  const living = () => spawn('cat', { stdio: ['pipe', 'ignore', 'ignore'] });

  function adopt(pid: number | undefined): SessionProcess {
    const paths = sessionPaths(directory, name.domain, name.role);
    return SessionProcess.adopt({ name, paths, card: { pid: pid ?? 0 } }, () => undefined);
  }

  it('is answered with its end, which comes a moment later', async () => {
    const child = living();
    const asked = adopt(child.pid).checkpoint(true);
    child.stdin.end();
    await expect(asked).rejects.toMatchObject({
      code: 'AGENT_NOT_PROTECTED',
      message: 'the primary session of vm has ended',
    });
  });

  it('is answered with its silence while it lives', async () => {
    const child = living();
    try {
      const refused = expect.objectContaining({ code: 'AGENT_SESSION_SILENT' });
      await expect(adopt(child.pid).epochs(1)).rejects.toEqual(refused);
    } finally {
      child.stdin.end();
    }
  });
});
