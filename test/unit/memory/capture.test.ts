import { readdirSync, readlinkSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { afterEach, expect, test } from 'vitest';
import { native } from '../../../src/native.js';
import { encodeAll, Scribbler, type ScribblerKind, stopped } from './scribbler.js';

const running: Scribbler[] = [];
afterEach(async () => {
  for (const scribbler of running.splice(0)) await scribbler.end();
});

async function start(kind: ScribblerKind, mib: number): Promise<Scribbler> {
  const scribbler = await Scribbler.start(kind, mib);
  running.push(scribbler);
  return scribbler;
}

test('the self-test accepts this kernel', async () => {
  expect(await native.memory.selfTest()).toEqual({ ok: true });
});

test.each([
  'private',
  'huge',
  'shared',
  'memfd',
] as const)('%s memory: the first capture brings every page, later ones exactly the written ones', async (kind) => {
  const guest = await start(kind, 16);
  await guest.ask('p 3 17');
  await guest.ask('p 700 18');
  const memory = await guest.attach();
  expect(memory.ramBytes).toBe(16 << 20);
  const first = await encodeAll(memory, await memory.captureStopped(stopped(1)));
  expect(first).toMatchObject({ dataPages: 2, zeroPages: 4094, unchangedPages: 0 });

  expect(await memory.captureStopped(stopped(2))).toMatchObject({ dirtyPages: 0 });
  for (const page of [3, 4, 5, 4095]) await guest.ask(`p ${page} 19`);
  const capture = await memory.captureStopped(stopped(3));
  expect(capture).toMatchObject({ status: 'complete', dirtyPages: 4, dirtyRanges: 2 });
  expect(await encodeAll(memory, capture)).toMatchObject({ dataPages: 4, unchangedPages: 0 });

  // Written again with what it holds already: reported by the kernel, left out by the hash.
  await guest.ask('p 4 19');
  await guest.ask('p 5 0');
  expect(await encodeAll(memory, await memory.captureStopped(stopped(4)))).toMatchObject({
    dataPages: 0,
    zeroPages: 1,
    unchangedPages: 1,
  });
  await memory.detach();
});

test('never-touched memory is not populated by capturing it', async () => {
  const guest = await start('private', 64);
  await guest.ask('p 0 1');
  const memory = await guest.attach();
  const before = await residentKib(guest.pid);
  const all = await encodeAll(memory, await memory.captureStopped(stopped(1, 'live')));
  expect(all).toMatchObject({ dataPages: 1, zeroPages: 64 * 256 - 1 });
  expect((await residentKib(guest.pid)) - before).toBeLessThan(256);
  await memory.detach();
});

async function residentKib(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^RssAnon:\s+(\d+)/m.exec(status)?.[1]);
}

test('staging that is too small yields parts, and the rest is refused until they are encoded', async () => {
  const guest = await start('private', 16);
  await guest.ask('w 5 4000');
  const memory = await guest.attach({ stagingBytes: 1 << 20 });
  const capture = await memory.captureStopped(stopped(1));
  expect(capture).toMatchObject({ status: 'partial', stagedBytes: 1 << 20 });
  await expect(memory.captureRest()).rejects.toMatchObject({ code: 'STAGING_NOT_ENCODED' });
  await encodeAll(memory, capture);
  await expect(memory.captureRest()).rejects.toMatchObject({ code: 'NOTHING_HELD' });
  expect(await memory.captureStopped(stopped(2))).toMatchObject({ dirtyPages: 0 });
  await memory.detach();
});

test('detach leaves nothing in the process, which can be attached again', async () => {
  const guest = await start('private', 4);
  const memory = await guest.attach();
  await expect(guest.attach()).rejects.toMatchObject({
    code: 'EBUSY',
    syscall: 'UFFDIO_REGISTER',
  });
  expect(descriptors(guest.pid)).not.toContainEqual(expect.stringContaining('userfaultfd'));
  await memory.detach();
  expect(() => memory.abandon()).toThrow(expect.objectContaining({ code: 'CLOSED' }));
  expect(() => memory.captureStopped(stopped(1))).toThrow(
    expect.objectContaining({ code: 'CLOSED' }),
  );
  const again = await guest.attach();
  expect(await again.captureStopped(stopped(1))).toMatchObject({ dirtyPages: 1024 });
  await again.detach();
  expect(await guest.ask('p 1 1')).toBe('ok');
});

function descriptors(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
}

test('a process that ended is an error, not an unchanged guest', async () => {
  const guest = await start('private', 4);
  const memory = await guest.attach();
  await memory.captureStopped(stopped(1));
  await guest.ask('p 1 1');
  await guest.end();
  await expect(memory.captureStopped(stopped(2))).rejects.toMatchObject({ code: 'ESRCH' });
  await memory.detach();
  await expect(guest.attach()).rejects.toMatchObject({
    code: expect.stringMatching(/ESRCH|ENOENT/),
  });
});

test('wrong arguments are refused by name', async () => {
  const guest = await start('private', 4);
  const range = { hva: guest.hva, bytes: 4096, replicaOffset: 0 };
  const attach = (ranges: (typeof range)[]) =>
    native.memory.attach({ pid: guest.pid, ranges, stagingBytes: 1 << 20, threads: 1 });
  for (const ranges of [
    [],
    [{ ...range, bytes: 100 }],
    [{ ...range, replicaOffset: 1 }],
    [range, { ...range, hva: range.hva + 4096n }],
    [{ ...range, bytes: 0 }],
  ]) {
    await expect(attach(ranges)).rejects.toMatchObject({ code: 'RANGES_INVALID' });
  }
  expect(() => attach([{ ...range, bytes: -1 }])).toThrow(/bytes/);
  const memory = await attach([range]);
  await expect(memory.encodeInto(Buffer.alloc(4096))).rejects.toMatchObject({
    code: 'BUFFER_TOO_SMALL',
  });
  await memory.detach();
});
