/** The write log through the real binding: what is written comes out, in order, as it was. */
import { describe, expect, it } from 'vitest';
import {
  MIB,
  openTarget,
  pattern,
  randomFrom,
  take,
  takeEpoch,
  withTmpfs,
} from './mirror-target.js';
import { NO_HOLE } from './nbd-client.js';

const code = (code: string) => expect.objectContaining({ code });

describe('write log', () => {
  it('keeps the order of all disks and the bytes of each write', async () => {
    await using opened = await openTarget([MIB, 2 * MIB]);
    const { target } = opened;
    target.ship(7);
    const [a, b] = [await opened.connect('vda'), await opened.connect('vdb')];
    await a.write(4096, pattern(4096, 1));
    await b.write(MIB, pattern(512, 2));
    await a.zero(8192, 4096, NO_HOLE);
    await a.zero(12288, 512);
    await b.trim(0, 512);
    await a.flush();
    target.complete();
    await a.zero(0, 4096, NO_HOLE);
    await b.trim(4096, 8192);
    target.closeEpoch(7);
    const part = await takeEpoch(target, 7);
    expect(part).toMatchObject({ endsEpoch: true, intact: true });
    expect(
      part.records.map(({ kind, disk, offset, length }) => [kind, disk, offset, length]),
    ).toEqual([
      ['write', 0, 4096, 4096],
      ['write', 1, MIB, 512],
      // Whole blocks of zeroes are put off until complete().
      ['trim', 0, 12288, 512],
      ['trim', 1, 0, 512],
      ['trim', 0, 8192, 4096],
      ['zero', 0, 0, 4096],
      ['trim', 1, 4096, 8192],
    ]);
    expect(part.records[0]?.data.equals(pattern(4096, 1))).toBe(true);
    expect(part.records[1]?.data.equals(pattern(512, 2))).toBe(true);
  });

  it('splits writes that are larger than a part, at multiples of 4 KiB', async () => {
    await using opened = await openTarget([8 * MIB]);
    const { target } = opened;
    target.ship(1);
    target.complete();
    const client = await opened.connect('vda');
    const data = pattern(3 * MIB + 512, 3);
    await client.write(512, data);
    target.closeEpoch(1);
    const { records } = await takeEpoch(target, 1);
    expect(records.length).toBeGreaterThan(1);
    let at = 512;
    for (const record of records) {
      expect(record.offset).toBe(at);
      at += record.length;
      if (at < 512 + data.length) expect(at % 4096).toBe(0);
    }
    expect(Buffer.concat(records.map((record) => record.data)).equals(data)).toBe(true);
  });

  it('turns whole pieces of zeroes into zero records', async () => {
    await using opened = await openTarget([MIB]);
    const { target } = opened;
    target.ship(1);
    target.complete();
    const client = await opened.connect('vda');
    const data = pattern(5 * 4096, 4);
    data.fill(0, 4096, 3 * 4096);
    data.fill(0, 4 * 4096 + 1, 5 * 4096);
    await client.write(4096, data);
    await client.write(512, Buffer.alloc(512));
    target.closeEpoch(1);
    const { records } = await takeEpoch(target, 1);
    expect(records.map(({ kind, offset, length }) => [kind, offset, length])).toEqual([
      ['write', 4096, 4096],
      ['zero', 8192, 8192],
      ['write', 16384, 8192],
      ['write', 512, 512],
    ]);
  });

  it('waits a little for more, and not at all at the end of an epoch', async () => {
    await using opened = await openTarget([8 * MIB]);
    const { target } = opened;
    target.ship(1);
    target.complete();
    const client = await opened.connect('vda');
    const first = take(target);
    await client.write(0, pattern(512, 1));
    expect((await first).records).toHaveLength(1);
    const second = take(target);
    target.closeEpoch(1);
    expect(await second).toMatchObject({ bytes: 0, epoch: 1, endsEpoch: true });
    const writes = Array.from({ length: 128 }, (_, i) => client.write(i * 4096, pattern(4096, i)));
    let takes = 0;
    for (let records = 0; records < writes.length; takes += 1) {
      records += (await take(target)).records.length;
    }
    expect(takes).toBeLessThan(32);
    await Promise.all(writes);
  });

  it('frees what is committed, and only that', async () => {
    await using opened = await openTarget([8 * MIB]);
    const { target } = opened;
    target.ship(1);
    target.complete();
    const client = await opened.connect('vda');
    for (let epoch = 1; epoch <= 3; epoch += 1) {
      await client.write(0, pattern(MIB, epoch));
      target.closeEpoch(epoch);
      await takeEpoch(target, epoch);
    }
    const held = target.stats().memoryBytes;
    expect(held).toBeGreaterThan(3 * MIB);
    target.committed(2);
    expect(target.stats().memoryBytes).toBeLessThan(held / 2);
    target.committed(3);
    expect(target.stats().memoryBytes).toBe(0);
  });

  it('frees at once what is taken before it is complete', async () => {
    await using opened = await openTarget([8 * MIB]);
    opened.target.ship(1);
    const client = await opened.connect('vda');
    await client.write(0, pattern(MIB, 1));
    for (let bytes = 0; bytes < MIB; ) bytes += (await take(opened.target)).bytes;
    opened.target.closeEpoch(1);
    await takeEpoch(opened.target, 1);
    expect(opened.target.stats().memoryBytes).toBe(0);
  });

  it('spills what memory has no room for and gives it back whole', async () => {
    await using opened = await openTarget([32 * MIB], { memoryBytesMax: 2 * MIB });
    const { target } = opened;
    target.ship(1);
    target.complete();
    const client = await opened.connect('vda');
    const below = randomFrom(11);
    const written: { offset: number; data: Buffer }[] = [];
    for (let i = 0; i < 40; i += 1) {
      const data = pattern(512 * (1 + below(1024)), i);
      const offset = 512 * below((32 * MIB - data.length) / 512);
      written.push({ offset, data });
      await client.write(offset, data);
    }
    expect(target.stats().spilledBytes).toBeGreaterThan(MIB);
    expect(target.stats().memoryBytes).toBeLessThanOrEqual(2 * MIB + 512 * 1024);
    target.closeEpoch(1);
    const { records } = await takeEpoch(target, 1);
    const all = Buffer.concat(written.map(({ data }) => data));
    expect(Buffer.concat(records.map(({ data }) => data)).equals(all)).toBe(true);
    target.committed(1);
    expect(target.stats()).toMatchObject({ spilledBytes: 0, memoryBytes: 0 });
  });

  it('makes writes wait when it is full, and takes them when there is room', async () => {
    await using opened = await openTarget([32 * MIB], {
      memoryBytesMax: 2 * MIB,
      spillBytesMax: 0,
    });
    const { target } = opened;
    target.ship(1);
    target.complete();
    const client = await opened.connect('vda');
    let answered = 0;
    const writes = Array.from({ length: 12 }, async (_, i) => {
      await client.write(i * MIB, pattern(MIB, i));
      answered += 1;
    });
    while (target.stats().backPressureCount === 0) await new Promise((done) => setImmediate(done));
    expect(answered).toBeLessThan(12);
    target.closeEpoch(1);
    await takeEpoch(target, 1);
    target.committed(1);
    let taken = 0;
    const taking = (async () => {
      for (let epoch = 2; answered < 12; epoch += 1) {
        target.closeEpoch(epoch);
        taken += (await takeEpoch(target, epoch)).bytes;
        target.committed(epoch);
      }
    })();
    await Promise.all([...writes, taking]);
    expect(taken).toBeGreaterThan(0);
    expect(target.stats().backPressureMs).toBeLessThan(5000);
    expect(opened.troubles).toEqual([]);
  });

  it('ends the connections when writes have waited too long', async () => {
    await using opened = await openTarget([32 * MIB], {
      memoryBytesMax: 2 * MIB,
      spillBytesMax: 0,
      freezeMsMax: 400,
    });
    const { target } = opened;
    target.ship(1);
    target.complete();
    const client = await opened.connect('vda');
    const started = performance.now();
    const writes = Array.from({ length: 8 }, (_, i) => client.write(i * MIB, pattern(MIB, i)));
    const outcomes = Promise.allSettled(writes);
    await opened.trouble('overflow');
    await client.ended;
    expect(performance.now() - started).toBeLessThan(2000);
    expect(await opened.trouble('disconnected')).toMatchObject({ disk: 'vda' });
    expect((await outcomes).some(({ status }) => status === 'rejected')).toBe(true);
    target.closeEpoch(1);
    expect((await takeEpoch(target, 1)).intact).toBe(false);
  });

  it('tells that the spill file takes no more, and goes on with memory alone', async () => {
    await withTmpfs(MIB, async (spillDirectory) => {
      await using opened = await openTarget([16 * MIB], {
        memoryBytesMax: 2 * MIB,
        spillDirectory,
      });
      const { target } = opened;
      target.ship(1);
      target.complete();
      const client = await opened.connect('vda');
      const data = pattern(6 * MIB, 5);
      const writes = [0, 1, 2, 3, 4, 5].map((i) =>
        client.write(i * MIB, data.subarray(i * MIB, (i + 1) * MIB)),
      );
      expect(await opened.trouble('storage')).toMatchObject({
        reason: expect.stringContaining('No space'),
      });
      const taken: Buffer[] = [];
      let over = false;
      const finished = Promise.all(writes).then(() => {
        over = true;
      });
      for (let epoch = 1, last = false; !last; epoch += 1) {
        last = over;
        target.closeEpoch(epoch);
        taken.push(...(await takeEpoch(target, epoch)).records.map((record) => record.data));
        target.committed(epoch);
      }
      await finished;
      expect(Buffer.concat(taken).equals(data)).toBe(true);
      expect(opened.troubles).toHaveLength(1);
    });
  });

  it('refuses what does not fit its mode, and everything after close', async () => {
    await using opened = await openTarget([MIB]);
    const { target } = opened;
    expect(() => target.complete()).toThrow(code('MIRROR_STATE'));
    expect(() => target.remember()).toThrow(code('MIRROR_STATE'));
    expect(() => target.replay(1)).toThrow(code('MIRROR_STATE'));
    await expect(take(target)).rejects.toEqual(code('STOPPED'));
    target.ship(1);
    expect(() => target.ship(2)).toThrow(code('MIRROR_STATE'));
    expect(() => target.setKnown(0, { content: 'zeroes' })).toThrow(code('MIRROR_STATE'));
    expect(() => target.remember()).toThrow(code('MIRROR_STATE'));
    expect(() => target.take(Buffer.alloc(10))).toThrow(TypeError);
    target.complete();
    expect(() => target.complete()).toThrow(code('MIRROR_STATE'));
    const waiting = take(target);
    target.forget();
    await expect(waiting).rejects.toEqual(code('STOPPED'));
    target.ship(5);
    const again = take(target);
    await Promise.all([expect(again).rejects.toEqual(code('STOPPED')), opened.close()]);
    const calls = [
      () => target.boundary,
      () => target.ship(1),
      () => target.complete(),
      () => target.committed(1),
      () => target.forget(),
      () => target.stats(),
      () => target.close(),
    ];
    for (const call of calls) expect(call).toThrow(code('CLOSED'));
  });
});
