/** How far a copy is, and how long it still takes. */
import { describe, expect, it } from 'vitest';
import type { DomainStatus } from '../../../src/agent/status.js';
import { Pace, type Progress, progressLine, progressOf } from '../../../src/cli/progress-words.js';

const MIB = 1024 ** 2;
const base: DomainStatus = {
  domain: 'web1',
  role: 'primary',
  state: 'syncing',
  term: 1,
  since: '2026-11-22T00:00:00.000Z',
  sessionPid: 1,
};
const diskSync = {
  how: 'compare' as const,
  doneBytes: 50 * MIB,
  totalBytes: 200 * MIB,
  bytesPerSecond: 20 * MIB,
  bytesShipped: 30 * MIB,
};
const sync = { round: 1, pages: 400, pagesDone: 100, bytesShipped: 40 * MIB, bytesPerSecond: MIB };

describe('what is copied', () => {
  it('is nothing, then the disks, then memory, then nothing', () => {
    expect(progressOf(base)).toBeUndefined();
    expect(progressOf({ ...base, diskSync })?.what).toBe('disks, compare');
    expect(progressOf({ ...base, diskSync, sync })?.what).toBe('memory, round 2');
    expect(progressOf({ ...base, state: 'protected', diskSync, sync })).toBeUndefined();
    expect(progressOf({ ...base, diskSync: { ...diskSync, totalBytes: 0 } })).toBeUndefined();
    expect(progressOf({ ...base, sync: { ...sync, pages: 0 } })).toBeUndefined();
  });

  it('is one line for a log', () => {
    const progress = progressOf({ ...base, diskSync }) as Progress;
    expect(progressLine('web1', progress, undefined)).toBe(
      'web1: disks, compare: 25 %, 30 MiB shipped, 20 MiB/s',
    );
    expect(progressLine('web1', { ...progress, done: 999 * MIB }, 61_000)).toBe(
      'web1: disks, compare: 100 %, 30 MiB shipped, 20 MiB/s, 1m01s left',
    );
  });
});

describe('the time left', () => {
  const at = (done: number, what = 'disks, copy'): Progress => ({
    what,
    done,
    total: 1_000,
    bytesShipped: 0,
    bytesPerSecond: 0,
  });

  it('is not said before there is a pace', () => {
    const pace = new Pace();
    expect(pace.leftMs(at(0), 0)).toBeUndefined();
    expect(pace.leftMs(at(100), 500)).toBeUndefined();
    expect(pace.leftMs(at(100), 1_000)).toBe(9_000);
  });

  it('follows the newest ten seconds', () => {
    const pace = new Pace();
    for (let second = 0; second <= 10; second += 1) pace.leftMs(at(second * 10), second * 1_000);
    expect(pace.leftMs(at(100), 10_000)).toBe(90_000);
    for (let second = 11; second <= 20; second += 1) {
      pace.leftMs(at(100 + (second - 10) * 50), second * 1_000);
    }
    expect(pace.leftMs(at(600), 20_000)).toBe(8_000);
  });

  it('is unknown while nothing moves, begins anew with each part, and is never negative', () => {
    const pace = new Pace();
    pace.leftMs(at(500), 0);
    expect(pace.leftMs(at(500), 5_000)).toBeUndefined();
    expect(pace.leftMs(at(600, 'memory, round 1'), 6_000)).toBeUndefined();
    expect(pace.leftMs(at(1_200, 'memory, round 1'), 8_000)).toBe(0);
  });
});
