import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createServer as createSocketServer } from 'node:net';
import { tmpdir } from 'node:os';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findSessions, sessionNameOf } from '../../../src/agent/session/found-sessions.js';
import { sessionPaths } from '../../../src/agent/session/session-control.js';

describe('the name of a session’s socket', () => {
  it.each([
    ['vm1.primary.sock', { domain: 'vm1', role: 'primary' }],
    ['vm1.backup.sock', { domain: 'vm1', role: 'backup' }],
    ['a%20b.primary.backup.sock', { domain: 'a b.primary', role: 'backup' }],
    ['vm1.primary.status.json', undefined],
    ['vm1.primary.log', undefined],
    ['vm1.other.sock', undefined],
    ['.primary.sock', undefined],
  ])('%s', (file, name) => {
    expect(sessionNameOf(file)).toEqual(name);
  });

  it('is what sessionPaths gives it', () => {
    const { socket } = sessionPaths('/run', 'ä/. primary', 'backup');
    const file = socket.slice(socket.lastIndexOf('/') + 1);
    expect(sessionNameOf(file)).toEqual({ domain: 'ä/. primary', role: 'backup' });
  });
});

describe('the sessions of an earlier agent', () => {
  let runDir: string;
  beforeEach(async () => {
    runDir = mkdtempSync(`${tmpdir()}/understudy-found-`);
    await mkdir(`${runDir}/sessions`);
  });
  afterEach(() => rmSync(runDir, { recursive: true }));

  const serve = (path: string, body: object): Promise<() => void> =>
    new Promise((resolve) => {
      const server = createServer((_request, response) => {
        response.setHeader('content-type', 'application/json');
        response.end(JSON.stringify(body));
      });
      server.listen(path, () => resolve(() => server.close()));
    });

  /** A socket whose owner was killed: it is there, and refuses. */
  const leaveBehind = (path: string): void => {
    const program = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
    spawnSync(process.execPath, ['-e', program]);
  };

  it('are none where there is nothing', async () => {
    expect(await findSessions(`${runDir}/nowhere`)).toEqual([]);
    expect(await findSessions(runDir)).toEqual([]);
  });

  it('are those that answer, after those that died', async () => {
    const living = sessionPaths(runDir, 'vm1', 'backup');
    leaveBehind(sessionPaths(runDir, 'vm1', 'primary').socket);
    const close = await serve(living.socket, { pid: 42, port: 4000 });
    try {
      expect(await findSessions(runDir)).toMatchObject([
        { name: { domain: 'vm1', role: 'primary' }, card: undefined },
        { name: { domain: 'vm1', role: 'backup' }, card: { pid: 42, port: 4000 } },
      ]);
    } finally {
      close();
    }
  });

  it('may hang: then their last status says which process it is', async () => {
    const { socket, status } = sessionPaths(runDir, 'vm1', 'primary');
    writeFileSync(status, JSON.stringify({ sessionPid: 77 }));
    const hanging = createSocketServer();
    await new Promise<void>((resolve) => hanging.listen(socket, resolve));
    const held: { destroy(): void }[] = [];
    hanging.on('connection', (connection) => held.push(connection));
    try {
      expect(await findSessions(runDir)).toMatchObject([{ card: { pid: 77 } }]);
    } finally {
      for (const connection of held) connection.destroy();
      hanging.close();
    }
  });
});
