/** The server's socket file: for its owner alone, never in the way of another, gone at the end. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type NativeMirrorTarget, native } from '../../../src/native.js';
import { RawClient } from './nbd-raw.js';

const NOBODY_UID = 65_534;

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'understudy-socket-'));
});
afterEach(async () => {
  await RawClient.hangUpAll();
  rmSync(directory, { recursive: true });
});

function open(socketPath: string, bytes = 1 << 20): Promise<NativeMirrorTarget> {
  return native.disks.openMirrorTarget({
    socketPath,
    ownerUid: NOBODY_UID,
    disks: [{ name: 'vda', bytes }],
    memoryBytesMax: 4 << 20,
    spillDirectory: directory,
    spillBytesMax: 1 << 20,
    rememberBytesMax: 1 << 20,
    freezeMsMax: 2000,
    onTrouble: () => undefined,
  });
}

test('it belongs to its owner, nobody else may use it, and it goes with the server', async () => {
  const path = join(directory, 'nbd.sock');
  const target = await open(path);
  const { uid, mode } = statSync(path);
  expect({ uid, mode: mode & 0o777 }).toEqual({ uid: NOBODY_UID, mode: 0o600 });
  await target.close();
  expect(existsSync(path)).toBe(false);
});

test('one that a dead server left is replaced', async () => {
  const path = join(directory, 'nbd.sock');
  const leave = `s = __import__('socket'); s.socket(s.AF_UNIX).bind('${path}')`;
  execFileSync('python3', ['-c', leave]);
  const target = await open(path);
  await RawClient.at(path, 'vda');
  await target.close();
});

test('one on which a server listens stays that server’s', async () => {
  const path = join(directory, 'nbd.sock');
  const first = await open(path);
  await expect(open(path)).rejects.toMatchObject({ code: 'EADDRINUSE' });
  await RawClient.at(path, 'vda');
  await first.close();
});

test('what is no socket is left alone', async () => {
  const path = join(directory, 'file');
  writeFileSync(path, 'precious');
  await expect(open(path)).rejects.toMatchObject({ code: 'EEXIST' });
  expect(existsSync(path)).toBe(true);
});

test('a path that no socket can have, and a size that is no whole sectors, are refused', async () => {
  await expect(open(`/tmp/${'x'.repeat(110)}`)).rejects.toMatchObject({ code: 'ENAMETOOLONG' });
  await expect(open(join(directory, 's'), 1000)).rejects.toMatchObject({ code: 'EXPORT_SIZE' });
  expect(existsSync(join(directory, 's'))).toBe(false);
});
