/** The replica's disks and what their store promises while nothing goes wrong. */
import { statSync, truncateSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { native } from '../../../src/native.js';
import {
  applyToModel,
  at,
  chunkOf,
  type DiskRecord,
  Replica,
  recordsOf,
  SESSION,
} from './store-builders.js';

const MIB = 1024 * 1024;
const SIZES = [MIB, 3 * MIB + 512];

let replica: Replica;
beforeEach(() => {
  replica = Replica.make(SIZES);
});
afterEach(() => replica.remove());

const withCode = (code: string) => expect.objectContaining({ code });
const fill = (disk: number, offset: number, length: number, byte: number): DiskRecord => ({
  kind: 'write',
  disk,
  offset,
  data: Buffer.alloc(length, byte),
});

describe('the record', () => {
  it('is none, copying, consistent, live, and survives closing', async () => {
    expect(native.disks.readRecord(replica.journal)).toEqual({ state: 'none' });
    let store = await replica.open();
    expect(store.record).toEqual({ state: 'none', position: undefined });
    await store.beginCopy();
    await store.close();

    store = await replica.open();
    expect(store.record).toEqual({ state: 'copying', position: undefined });
    await store.writeThrough([chunkOf(fill(0, 0, 512, 1))]);
    await store.commit([chunkOf(fill(1, 512, 512, 2))], at(7));
    await store.close();

    store = await replica.open();
    const position = { session: SESSION, term: 1, epoch: 7 };
    expect(store.record).toEqual({ state: 'consistent', position });
    expect(store.replayed).toBe(false);
    await store.goLive({ ...position, term: 2 });
    await store.close();
    const live = { state: 'live', position: { ...position, term: 2 } };
    expect(native.disks.readRecord(replica.journal)).toEqual(live);
    const [first, second] = replica.contents();
    expect([first?.[511], second?.[512]]).toEqual([1, 2]);
  });

  it('can be read while it is written', async () => {
    const store = await replica.openAtEpoch0();
    const commits = Array.from({ length: 50 }, (_, i) =>
      store.commit([chunkOf(fill(0, 0, 4096, i))], at(i + 1)),
    );
    let last = 0;
    for (let i = 0; i < 200; i += 1) {
      const { position } = native.disks.readRecord(replica.journal);
      expect(position?.epoch).toBeGreaterThanOrEqual(last);
      last = position?.epoch ?? -1;
    }
    await Promise.all(commits);
    await store.close();
  });

  it.each<[string, string[]]>([
    ['none', ['writeThrough']],
    ['copying', ['stage']],
    ['consistent', ['writeThrough']],
    ['live', ['writeThrough']],
  ])('of state %s refuses %j', async (state, calls) => {
    const store = await replica.open();
    if (state !== 'none') await store.beginCopy();
    if (state === 'consistent') await store.commit([], at(1));
    if (state === 'live') await store.goLive(at(1));
    const results = { commit: () => store.commit([], at(2)), stage: () => store.stage([]) };
    const all = { ...results, writeThrough: () => store.writeThrough([]) };
    for (const [name, call] of Object.entries(all)) {
      const refused = call().then(
        () => undefined,
        (error: unknown) => error,
      );
      const expected = calls.includes(name) ? withCode('STORE_STATE') : undefined;
      expect(await refused, name).toEqual(expected);
      if (state === 'copying' && name === 'commit') await store.beginCopy();
    }
    await store.close();
  });
});

describe('commit', () => {
  it('writes overlapping records in order, over many epochs', async () => {
    const store = await replica.openAtEpoch0();
    const model = SIZES.map((bytes) => Buffer.alloc(bytes));
    for (let epoch = 1; epoch <= 40; epoch += 1) {
      const parts = [0, 1, 2].map((part) => recordsOf(epoch * 3 + part, SIZES, 6));
      const [first = [], ...rest] = parts;
      if (epoch % 2 === 0) await store.stage([chunkOf(...first)]);
      const chunks = (epoch % 2 === 0 ? rest : parts).map((records) => chunkOf(...records));
      const times = await store.commit(chunks, at(epoch));
      expect(times.journalBytes).toBeGreaterThan(0);
      for (const records of parts) applyToModel(model, records);
      expect(replica.contents().map((disk, i) => disk.equals(model[i] ?? disk))).toEqual([
        true,
        true,
      ]);
    }
    await store.close();
  });

  it('forgets what was discarded', async () => {
    const store = await replica.openAtEpoch0();
    await store.stage([chunkOf(fill(0, 0, 512, 9))]);
    await store.discardStaged();
    await store.commit([chunkOf(fill(0, 512, 512, 8))], at(1));
    await store.stage([chunkOf(fill(0, 0, 512, 7))]);
    await store.close();
    const reopened = await replica.open();
    expect(reopened.record.position?.epoch).toBe(1);
    await reopened.close();
    const [disk] = replica.contents();
    expect([disk?.[0], disk?.[512]]).toEqual([0, 8]);
  });

  it('keeps trimmed ranges sparse, zeroed ones and the file as long as they were', async () => {
    const store = await replica.openAtEpoch0();
    await store.commit([chunkOf(fill(0, 0, MIB, 1), fill(1, 0, MIB, 1))], at(1));
    const blocks = () => replica.disks.map(({ path }) => statSync(path).blocks);
    expect(blocks()).toEqual([2048, 2048]);
    await store.commit(
      [
        chunkOf(
          { kind: 'trim', disk: 0, offset: 0, length: MIB },
          { kind: 'zero', disk: 1, offset: 0, length: MIB },
        ),
      ],
      at(2),
    );
    expect(blocks()).toEqual([0, 2048]);
    expect(replica.contents().map((disk) => disk.equals(Buffer.alloc(disk.length)))).toEqual([
      true,
      true,
    ]);
    await store.close();
  });

  it('gives the journal of a very large transaction back after smaller ones', async () => {
    const large = Replica.make([96 * MIB]);
    const store = await large.openAtEpoch0();
    const piece = (offset: number) => chunkOf(fill(0, offset, 8 * MIB, 3));
    const chunks = Array.from({ length: 10 }, (_, i) => piece(i * 8 * MIB));
    await store.commit(chunks, at(1));
    expect(statSync(large.slot(1)).size + statSync(large.slot(0)).size).toBeGreaterThan(80 * MIB);
    for (let epoch = 2; epoch <= 3; epoch += 1) await store.commit([piece(0)], at(epoch));
    expect(statSync(large.slot(0)).size).toBeLessThanOrEqual(64 * MIB);
    expect(statSync(large.slot(1)).size).toBeLessThanOrEqual(64 * MIB);
    await store.close();
    large.remove();
  });
});

describe('a bad chunk', () => {
  const patched = (change: (chunk: Buffer) => void) => {
    const chunk = chunkOf(fill(0, 4096, 512, 1), {
      kind: 'trim',
      disk: 1,
      offset: 0,
      length: 512,
    });
    change(chunk);
    return chunk;
  };
  const SECOND = 24 + 512;

  it.each<[string, Buffer]>([
    ['an unknown kind', patched((chunk) => chunk.writeUInt8(4, 0))],
    ['kind 0', patched((chunk) => chunk.writeUInt8(0, 0))],
    ['a disk that is not there', patched((chunk) => chunk.writeUInt8(2, 1))],
    ['reserved bits', patched((chunk) => chunk.writeUInt16LE(1, 2))],
    ['more data than length', patched((chunk) => chunk.writeUInt32LE(513, 4))],
    ['less data than length', patched((chunk) => chunk.writeUInt32LE(511, 4))],
    ['a trim with data', patched((chunk) => chunk.writeUInt32LE(1, SECOND + 4))],
    ['an offset behind the disk', patched((chunk) => chunk.writeBigUInt64LE(BigInt(MIB), 8))],
    ['an end behind the disk', patched((chunk) => chunk.writeBigUInt64LE(BigInt(MIB - 511), 8))],
    ['an end that overflows', patched((chunk) => chunk.writeBigUInt64LE(2n ** 64n - 256n, 8))],
    [
      'a length that overflows',
      patched((chunk) => chunk.writeBigUInt64LE(2n ** 64n - 1n, SECOND + 16)),
    ],
    ['an empty trim', patched((chunk) => chunk.writeBigUInt64LE(0n, SECOND + 16))],
    ['an empty write', chunkOf(fill(0, 0, 0, 0))],
    ['half a header', patched(() => undefined).subarray(0, SECOND + 23)],
    ['half its data', patched(() => undefined).subarray(0, SECOND - 1)],
  ])('with %s is refused, and nothing is touched', async (_, bad) => {
    const store = await replica.openAtEpoch0();
    expect(() => store.validate(bad)).toThrow(withCode('CHUNK_MALFORMED'));
    const good = chunkOf(fill(0, 0, 512, 5));
    await expect(store.stage([good, bad])).rejects.toEqual(withCode('CHUNK_MALFORMED'));
    await expect(store.commit([good, bad], at(1))).rejects.toEqual(withCode('CHUNK_MALFORMED'));
    await store.beginCopy();
    await expect(store.writeThrough([bad])).rejects.toEqual(withCode('CHUNK_MALFORMED'));
    await store.close();
    expect(replica.contents()[0]?.equals(Buffer.alloc(MIB))).toBe(true);
  });

  it('of any bytes is refused or stays within its disks', async () => {
    const store = await replica.openAtEpoch0();
    const chunk = patched(() => undefined);
    for (let byte = 0; byte < 24; byte += 1) {
      for (let bit = 0; bit < 8; bit += 1) {
        const flipped = Buffer.from(chunk);
        flipped.writeUInt8(flipped.readUInt8(byte) ^ (1 << bit), byte);
        try {
          expect(store.validate(flipped).records).toBe(2);
        } catch (error) {
          expect(error).toEqual(withCode('CHUNK_MALFORMED'));
        }
      }
    }
    expect(store.validate(chunk)).toEqual({ records: 2, dataBytes: 512 });
    expect(store.validate(Buffer.alloc(0))).toEqual({ records: 0, dataBytes: 0 });
    await store.close();
  });
});

describe('opening', () => {
  it('refuses a second store on the same journal until the first is closed', async () => {
    const store = await replica.open();
    await expect(replica.open()).rejects.toEqual(withCode('EBUSY'));
    await store.close();
    await (await replica.open()).close();
  });

  it('refuses disks of another size, and disks that the journal does not know', async () => {
    await (await replica.openAtEpoch0()).close();
    truncateSync(replica.disks[0]?.path ?? '', MIB + 512);
    await expect(replica.open()).rejects.toEqual(withCode('ESIZE'));
    const disks = replica.disks.map((disk, i) => (i === 0 ? { ...disk, bytes: MIB + 512 } : disk));
    const options = { journalDirectory: replica.journal, disks };
    await expect(native.disks.openStore(options)).rejects.toEqual(withCode('ESIZE'));
    const fewer = { ...options, disks: disks.slice(1) };
    await expect(native.disks.openStore(fewer)).rejects.toEqual(withCode('ESIZE'));
  });

  it('creates no disk', async () => {
    const disks = [{ path: `${replica.directory}/missing`, bytes: 512 }];
    const opening = native.disks.openStore({ journalDirectory: replica.journal, disks });
    await expect(opening).rejects.toEqual(withCode('ENOENT'));
  });

  it('calls after close throw', async () => {
    const store = await replica.open();
    const closing = store.close();
    expect(() => store.beginCopy()).toThrow(withCode('CLOSED'));
    expect(() => store.close()).toThrow(withCode('CLOSED'));
    await closing;
  });
});

describe('digests', () => {
  const of = async (disk: number, blockBytes: number, seed: bigint) => {
    const store = await replica.open();
    const count = Math.ceil((SIZES[disk] ?? 0) / blockBytes);
    const digests = await store.digests({ disk, blockBytes, seed, firstBlock: 0, count });
    await store.close();
    return Array.from({ length: count }, (_, i) => digests.toString('hex', i * 16, i * 16 + 16));
  };

  it('differ exactly where blocks differ, holes being zeroes', async () => {
    const before = await of(1, 65_536, 5n);
    expect(before).toHaveLength(49);
    expect(new Set(before.slice(0, -1)).size).toBe(1);
    const store = await replica.openAtEpoch0();
    await store.commit([chunkOf(fill(1, 0, MIB, 0), fill(1, 3 * MIB + 511, 1, 1))], at(1));
    await store.close();
    const after = await of(1, 65_536, 5n);
    expect(after.slice(0, -1)).toEqual(before.slice(0, -1));
    expect(after[48]).not.toBe(before[48]);
    expect((await of(1, 65_536, 6n))[0]).not.toBe(before[0]);
  });

  it('with seed 0 are XXH3-128 of the block', async () => {
    const store = await replica.openAtEpoch0();
    await store.commit([chunkOf(fill(0, 4096, 4096, 0x61))], at(1));
    await store.close();
    // xxhsum -H2 of 4096 zeroes and of 4096 times "a".
    const [zeroes, letters] = await of(0, 4096, 0n);
    expect([zeroes, letters]).toEqual([
      '3ee8dc4f9e7ee49593d76fe148c689ba',
      'e594ed23b869217688a30670e919701e',
    ]);
  });

  it('outside the disk are refused', async () => {
    const store = await replica.open();
    const options = { disk: 0, blockBytes: 4096, seed: 0n, firstBlock: 0, count: 256 };
    for (const wrong of [{ disk: 2 }, { count: 257 }, { firstBlock: 1 }, { blockBytes: 0 }]) {
      expect(() => store.digests({ ...options, ...wrong })).toThrow(TypeError);
    }
    await store.close();
  });
});
