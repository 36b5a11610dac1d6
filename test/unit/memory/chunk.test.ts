/** The replica believes nothing that a chunk says. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type NativeReplica, native } from '../../../src/native.js';
import { encodeAll, randomFrom, Scribbler, stopped } from './scribbler.js';

const HEADER_BYTES = 40;
const PAGE_BYTES = 4096;
const ZERO = 0;
const DATA = 1;
const DELTA = 2;
const LINE_BYTES = 64;

let guest: Scribbler;
let standby: Scribbler;
let replica: NativeReplica;
let chunk: Buffer;

beforeAll(async () => {
  guest = await Scribbler.start('private', 4);
  standby = await Scribbler.start('memfd', 4);
  await standby.ask('w 3 500');
  await guest.ask('w 1 40');
  const memory = await guest.attach();
  const { chunks } = await encodeAll(memory, await memory.captureStopped(stopped(1)));
  await memory.detach();
  chunk = Buffer.concat(chunks);
  replica = native.memory.openReplica({
    blocks: [{ path: standby.memfdPath, bytes: standby.bytes, replicaOffset: 0 }],
  });
});
afterAll(async () => {
  replica.close();
  await guest.end();
  await standby.end();
});

interface Run {
  first: number;
  pages: number;
  kind: number;
}

/** The difference of one page: `lines` set, each filled with `content`. */
function delta(lines: bigint, content = 7): Buffer {
  const count = lines.toString(2).replaceAll('0', '').length;
  const out = Buffer.alloc(8 + count * LINE_BYTES, content);
  out.writeBigUInt64LE(lines);
  return out;
}

interface Override {
  dataPages?: number;
  zeroPages?: number;
  deltaPages?: number;
  deltas?: readonly Buffer[];
}

/** A chunk as native/memory/chunk.h lays it out, with any field overridden. */
function build(runs: Run[], override: Override = {}): Buffer {
  const sum = (kind: number) =>
    runs.filter((run) => run.kind === kind).reduce((pages, run) => pages + run.pages, 0);
  const dataPages = override.dataPages ?? sum(DATA);
  const deltas = Buffer.concat(override.deltas ?? []);
  const out = Buffer.alloc(
    HEADER_BYTES + dataPages * PAGE_BYTES + deltas.length + runs.length * 16,
  );
  out.write('UCHK', 0, 'latin1');
  out.writeUInt16LE(2, 4);
  out.writeUInt32LE(override.deltaPages ?? sum(DELTA), 32);
  out.writeUInt32LE(deltas.length, 36);
  deltas.copy(out, HEADER_BYTES + dataPages * PAGE_BYTES);
  out.writeUInt32LE(runs.length, 8);
  out.writeUInt32LE(dataPages, 12);
  out.writeBigUInt64LE(BigInt(override.zeroPages ?? sum(ZERO)), 16);
  out.writeBigUInt64LE(BigInt(out.length), 24);
  runs.forEach((run, i) => {
    const at = HEADER_BYTES + dataPages * PAGE_BYTES + deltas.length + i * 16;
    out.writeBigUInt64LE(BigInt(run.first), at);
    out.writeUInt32LE(run.pages, at + 8);
    out.writeUInt32LE(run.kind, at + 12);
  });
  return out;
}

function oneDelta(deltas: readonly Buffer[], pages: number, override: Override = {}): Buffer {
  return build([{ first: 0, pages, kind: DELTA }], { deltas, ...override });
}

const malformed = expect.objectContaining({ code: 'CHUNK_MALFORMED' });

test('accepts what the encoder wrote and what the layout says', () => {
  expect(replica.validate(chunk)).toEqual({
    dataPages: expect.any(Number),
    zeroPages: expect.any(Number),
  });
  const built = build([
    { first: 0, pages: 2, kind: ZERO },
    { first: 5, pages: 3, kind: DATA },
    { first: 1023, pages: 1, kind: ZERO },
  ]);
  expect(replica.validate(built)).toEqual({ dataPages: 3, zeroPages: 3 });
  const deltas = [delta(1n), delta(0xffff_ffffn), delta(1n << 63n)];
  const changed = build(
    [
      { first: 0, pages: 2, kind: DELTA },
      { first: 5, pages: 3, kind: DATA },
      { first: 1023, pages: 1, kind: DELTA },
    ],
    { deltas },
  );
  expect(replica.validate(changed)).toEqual({ dataPages: 6, zeroPages: 0 });
});

test.each<[string, Buffer]>([
  ['empty', Buffer.alloc(0)],
  ['no runs', build([])],
  ['a run of no pages', build([{ first: 0, pages: 0, kind: ZERO }])],
  ['past the end', build([{ first: 1024, pages: 1, kind: ZERO }])],
  ['across the end', build([{ first: 1023, pages: 2, kind: DATA }])],
  ['wrapping around', build([{ first: 2 ** 52, pages: 0xffffffff, kind: ZERO }])],
  [
    'overlapping',
    build([
      { first: 0, pages: 2, kind: ZERO },
      { first: 1, pages: 1, kind: ZERO },
    ]),
  ],
  [
    'descending',
    build([
      { first: 9, pages: 1, kind: ZERO },
      { first: 1, pages: 1, kind: ZERO },
    ]),
  ],
  ['an unknown kind', build([{ first: 0, pages: 1, kind: 3 }])],
  ['a delta run without a difference', build([{ first: 0, pages: 1, kind: DELTA }])],
  ['fewer differences than pages', oneDelta([delta(1n)], 2)],
  ['more differences than pages', oneDelta([delta(1n), delta(1n)], 1)],
  ['a difference of no line', oneDelta([delta(0n)], 1)],
  ['a difference larger than half a page', oneDelta([delta(0x1_ffff_ffffn)], 1)],
  ['a difference that is cut off', oneDelta([delta(3n).subarray(0, -1)], 1)],
  ['a wrong number of delta pages', oneDelta([delta(1n)], 1, { deltaPages: 2 })],
  [
    'a difference past the end',
    build([{ first: 1024, pages: 1, kind: DELTA }], { deltas: [delta(1n)] }),
  ],
  ['more data runs than data', build([{ first: 0, pages: 2, kind: DATA }], { dataPages: 1 })],
  ['more data than data runs', build([{ first: 0, pages: 1, kind: DATA }], { dataPages: 2 })],
  ['a wrong number of zero pages', build([{ first: 0, pages: 1, kind: ZERO }], { zeroPages: 2 })],
])('refuses %s', (_, bad) => {
  expect(() => replica.validate(bad)).toThrow(malformed);
});

test.each([
  ['magic', 0, 0xff],
  ['version', 4, 1],
  ['reserved', 6, 1],
  ['length', 24, 0xff],
])('refuses a wrong %s', (_, offset, value) => {
  const bad = Buffer.from(chunk);
  bad[offset] = value;
  expect(() => replica.validate(bad)).toThrow(malformed);
});

test('a malformed chunk keeps the good ones before it from being applied', async () => {
  const before = await replica.digest();
  await expect(replica.apply([chunk, chunk.subarray(0, -1)])).rejects.toMatchObject({
    code: 'CHUNK_MALFORMED',
  });
  expect(await replica.digest()).toBe(before);
});

test('any bytes: accepted only if harmless, and refused without touching the replica', async () => {
  const random = randomFrom(7);
  const small = build(
    [
      { first: 3, pages: 2, kind: DATA },
      { first: 7, pages: 900, kind: ZERO },
      { first: 1000, pages: 1, kind: DATA },
      { first: 1001, pages: 2, kind: DELTA },
    ],
    { deltas: [delta(5n), delta(1n << 40n)] },
  );
  const before = await replica.digest();
  let refused = 0;
  for (let round = 0; round < 20_000; round += 1) {
    let bad = Buffer.from(random(2) === 0 ? small : chunk.subarray(0, 8192));
    for (let flips = 1 + random(4); flips > 0; flips -= 1) {
      // Header and run table matter; page contents are any bytes.
      const at = random(2) === 0 ? random(HEADER_BYTES) : bad.length - 1 - random(48);
      bad.writeUInt8(random(256), at);
    }
    if (random(4) === 0) bad = bad.subarray(0, random(bad.length + 1));
    try {
      const { dataPages, zeroPages } = replica.validate(bad);
      expect(dataPages + zeroPages).toBeLessThanOrEqual(1024);
    } catch (error) {
      expect(error).toEqual(malformed);
      refused += 1;
    }
  }
  expect(refused).toBeGreaterThan(15_000);
  expect(await replica.digest()).toBe(before);
});

test('blocks must be what their files are', () => {
  const open = (bytes: number, replicaOffset = 0) =>
    native.memory.openReplica({ blocks: [{ path: standby.memfdPath, bytes, replicaOffset }] });
  const invalid = expect.objectContaining({ code: 'BLOCKS_INVALID' });
  expect(() => open(standby.bytes + PAGE_BYTES)).toThrow(invalid);
  expect(() => open(standby.bytes - PAGE_BYTES)).toThrow(invalid);
  expect(() => open(standby.bytes, 1)).toThrow(invalid);
  expect(() => open(0)).toThrow(invalid);
});

test('a closed replica refuses every call', () => {
  const closed = native.memory.openReplica({
    blocks: [{ path: standby.memfdPath, bytes: standby.bytes, replicaOffset: 0 }],
  });
  closed.close();
  expect(() => closed.validate(chunk)).toThrow(expect.objectContaining({ code: 'CLOSED' }));
});

test('the hasher gives XXH3-128, however the bytes are split', () => {
  const whole = native.memory.hasher();
  whole.update(chunk);
  const split = native.memory.hasher();
  split.update(chunk.subarray(0, 100));
  split.update(chunk.subarray(100));
  expect(split.digest()).toBe(whole.digest());
  // XXH3_128bits of nothing, as xxhsum -H2 prints it.
  expect(native.memory.hasher().digest()).toBe('99aa06d3014798d86001c324468d497f');
});
