import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { describe, expect, it, onTestFinished } from 'vitest';
import { applyFigures } from '../../../bench/disk/apply-figures.js';
import { changedBytes, differing } from '../../../bench/disk/changed.js';
import { chunksOf, randomOffsets } from '../../../bench/disk/chunks.js';
import { LOADS, loadFigures, type Samples } from '../../../bench/disk/load-figures.js';
import { inTurns } from '../../../bench/disk/turns.js';

const KIB = 1024;
const MIB = 1024 * KIB;

describe('turns', () => {
  it('begin with another item each round and leave none out', () => {
    expect([0, 1, 2, 3].map((round) => inTurns(['a', 'b', 'c'], round).join(''))).toEqual([
      'abc',
      'bca',
      'cab',
      'abc',
    ]);
  });
});

describe('the chunks of a transaction', () => {
  /** As native/disk/disk_chunk.h describes them. */
  function records(chunk: Buffer) {
    const found = [];
    for (let at = 0; at < chunk.length; ) {
      const bytes = chunk.readUInt32LE(at + 4);
      const offset = Number(chunk.readBigUInt64LE(at + 8));
      expect([chunk[at], chunk[at + 1], chunk.readUInt16LE(at + 2)]).toEqual([1, 0, 0]);
      expect(Number(chunk.readBigUInt64LE(at + 16))).toBe(bytes);
      found.push({ offset, data: chunk.subarray(at + 24, at + 24 + bytes) });
      at += 24 + bytes;
    }
    return found;
  }

  it.each([
    [4 * KIB, 600],
    [512, 5000],
    [MIB, 3],
    [4 * KIB, 1],
  ])('hold every write of %d bytes once and in order (%d writes)', (writeBytes, count) => {
    const content = Buffer.alloc(writeBytes * count);
    for (let at = 0; at < content.length; at += 4) content.writeUInt32LE(at, at);
    const offsets = Array.from({ length: count }, (_, index) => (count - index) * writeBytes);
    const chunks = chunksOf({ offsets, writeBytes, content });
    for (const chunk of chunks.slice(0, -1)) expect(chunk.length).toBeGreaterThan(MIB / 2);
    for (const chunk of chunks) expect(chunk.length).toBeLessThanOrEqual(MIB + 24);
    const written = chunks.flatMap(records);
    expect(written.map(({ offset }) => offset)).toEqual(offsets);
    expect(Buffer.concat(written.map(({ data }) => data)).equals(content)).toBe(true);
  });
});

describe('random places', () => {
  it('are inside the disk, on blocks, none twice', () => {
    const offsets = randomOffsets({ diskBytes: MIB + 100, blockBytes: 4 * KIB, count: 200 });
    expect(new Set(offsets).size).toBe(200);
    for (const offset of offsets) {
      expect(offset % (4 * KIB)).toBe(0);
      expect(offset + 4 * KIB).toBeLessThanOrEqual(MIB);
    }
  });

  it('end when every place is taken', () => {
    const all = { diskBytes: 64 * KIB, blockBytes: 4 * KIB, count: 1000 };
    expect(randomOffsets(all).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 16 }, (_, place) => place * 4 * KIB),
    );
  });
});

describe('what changed on a disk', () => {
  it('is counted in whole blocks, by any byte of them', () => {
    const before = Buffer.alloc(64 * KIB, 7);
    const after = Buffer.from(before);
    expect(differing(before, after)).toBe(0);
    after[0] = 1;
    after[4 * KIB - 1] = 1;
    expect(differing(before, after)).toBe(4 * KIB);
    after[60 * KIB] = 1;
    expect(differing(before, after)).toBe(8 * KIB);
  });

  it('is found over pieces and in a last block that is short', async () => {
    const directory = await mkdtemp(`${tmpdir()}/understudy-changed-`);
    onTestFinished(() => rm(directory, { recursive: true }));
    const before = Buffer.alloc(3 * MIB + 512);
    const after = Buffer.from(before);
    for (const at of [0, MIB - 1, MIB, 2 * MIB + 5, 3 * MIB + 511]) after[at] = 1;
    await writeFile(`${directory}/before`, before);
    await writeFile(`${directory}/after`, after);
    const [one, other] = [`${directory}/before`, `${directory}/after`];
    expect(await changedBytes(one, other)).toBe(4 * 4 * KIB + 512);
    expect(await changedBytes(one, one)).toBe(0);
  });
});

describe('the figures of a load', () => {
  const report = (p50Us: number, megabytesPerSecond: number) => ({
    ...{ writes: 1, seconds: 1, p99Us: 0, p50Us, megabytesPerSecond },
  });
  const samples: Samples = {
    // The machine became four times slower in the last round: no ratio has changed.
    ours: [100, 110, 480].map((us) => ({ randwrite: report(us, 1), seqwrite: report(1, us) })),
    nbdkit: [100, 100, 400].map((us) => ({ randwrite: report(us, 1), seqwrite: report(1, us) })),
    unmirrored: [50, 60, 200].map((us) => ({ randwrite: report(us, 1), seqwrite: report(1, us) })),
  };
  const figures = (mode: string) => {
    const load = LOADS.find((one) => one.mode === mode);
    if (load === undefined) throw new TypeError(`no load ${mode}`);
    return loadFigures(load, samples);
  };

  it('are medians of each round’s ratio to nbdkit, with no mirror as the floor', () => {
    const { row } = figures('randwrite');
    expect(row).toMatchObject({ name: 'odirect_latency_ratio', unit: 'x', limit: 1.25, ok: true });
    expect(row.value).toBeCloseTo(1.1);
    expect(row.floor).toBeCloseTo(0.5);
  });

  it('take throughput from MB/s, at least its limit', () => {
    expect(figures('seqwrite').row).toMatchObject({ value: 1.1, limit: 0.8, ok: true });
  });

  it('show every round and the limit in the measured unit', () => {
    const { table } = figures('randwrite');
    expect(table.x.values).toEqual([1, 2, 3]);
    expect(table.series.map(({ values }) => values)).toEqual([
      [100, 110, 480],
      [100, 100, 400],
      [50, 60, 200],
      [125, 125, 500],
    ]);
  });

  it('are not ok for a load that was not measured', () => {
    expect(figures('dsync').row).toMatchObject({ value: Number.NaN, ok: false });
  });
});

describe('the figures of the apply', () => {
  const shape = (name: string, apply: number[], copy: number[], inPlace: number[]) => ({
    shape: name,
    timesMs: { apply, copy, inPlace },
  });

  const sequential = shape('sequential', [20, 10, 200], [10, 8, 100], [16, 8, 100]);
  const random = shape('random', [40, 20, 400], [10, 10, 100], [30, 20, 100]);

  it('compare sequential writes with the copy, and scattered ones with the same in place', () => {
    const { rows } = applyFigures({ sequential, random }, 8 * MIB);
    expect(rows).toMatchObject([
      { name: 'apply_over_copy', value: 0.5, floor: 1, ok: true },
      { name: 'apply_random_over_in_place', value: 0.75, floor: 1, ok: true },
    ]);
  });

  it('are shown as speeds', () => {
    const { table } = applyFigures({ sequential: shape('one', [20], [10], [16]), random }, 8e6);
    expect(table.series.map(({ values }) => values)).toEqual([
      [200, 400],
      [8000 / 30, 500],
      [800, 800],
      [400, 400],
    ]);
  });
});
