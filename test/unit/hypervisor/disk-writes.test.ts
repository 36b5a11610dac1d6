import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { diskLook, isUnwritten, type Look } from '../../../src/hypervisor/disk-writes.js';

const look = (atMs: number, ...modifiedMs: number[]): Look => ({
  atMs,
  modifiedNs: modifiedMs.map((ms) => BigInt(ms) * 1_000_000n),
});

describe('two looks at disks', () => {
  it.each([
    ['an old stamp that stays', look(10_000, 1_000), look(20_000, 1_000), true],
    ['a new stamp', look(10_000, 1_000), look(20_000, 15_000), false],
    ['a stamp set back', look(10_000, 1_000), look(20_000, 900), false],
    [
      'a stamp that was fresh: a write of the same tick',
      look(10_000, 9_995),
      look(20_000, 9_995),
      false,
    ],
    ['a stamp of the future', look(10_000, 11_000), look(20_000, 11_000), false],
    ['one of two', look(10_000, 1_000, 2_000), look(20_000, 1_000, 3_000), false],
    ['no disk', look(10_000), look(20_000), true],
  ])('%s', (_what, before, now, expected) => {
    expect(isUnwritten(before, now)).toBe(expected);
  });
});

describe('a look at real files', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(`${tmpdir()}/us-writes-`);
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it('sees a write', () => {
    const path = `${directory}/disk.raw`;
    writeFileSync(path, 'before');
    utimesSync(path, 1, 1);
    const take = diskLook([{ path, format: 'raw' }]);
    const before = take?.();
    expect(before && take && isUnwritten(before, take())).toBe(true);
    writeFileSync(path, 'after');
    expect(before && take && isUnwritten(before, take())).toBe(false);
  });

  it('is not offered where writes go elsewhere: block devices, qcow2 with a data file', () => {
    expect(diskLook([{ path: '/dev/null', format: 'raw' }])).toBeUndefined();
    const make = (name: string, ...options: string[]): string => {
      const path = `${directory}/${name}`;
      execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', ...options, path, '1M']);
      return path;
    };
    const plain = make('plain.qcow2');
    const apart = make('apart.qcow2', '-o', `data_file=${directory}/data.raw`);
    expect(diskLook([{ path: plain, format: 'qcow2' }])).toBeDefined();
    expect(diskLook([{ path: apart, format: 'qcow2' }])).toBeUndefined();
  });
});
