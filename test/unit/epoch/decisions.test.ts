import { describe, expect, it } from 'vitest';
import { Commits } from '../../../src/epoch/commits.js';
import { SYNC_ROUNDS_MAX, SYNC_SMALL_PAGES } from '../../../src/epoch/limits.js';
import { spreadOf } from '../../../src/epoch/records.js';
import { anotherRound } from '../../../src/epoch/sync.js';

describe('sync', () => {
  const big = SYNC_SMALL_PAGES * 10;
  it.each([
    ['goes on while much is left', 0, big, Number.POSITIVE_INFINITY, true],
    ['stops when little is left', 1, SYNC_SMALL_PAGES, big, false],
    ['goes on while it converges', 3, big, big * 2, true],
    ['stops when it does not converge', 3, big, big, false],
    ['stops after the last round', SYNC_ROUNDS_MAX - 1, big, big * 100, false],
  ])('%s', (_what, round, pages, before, expected) => {
    expect(anotherRound(round, pages, before)).toBe(expected);
  });
});

describe('commits', () => {
  it('resolve the one that waits', async () => {
    const commits = new Commits();
    const waiting = commits.wait(3);
    commits.acknowledge(3);
    await waiting;
    expect(commits.committed).toBe(3);
  });

  it('refuse an acknowledgement that nobody awaits', () => {
    const commits = new Commits();
    expect(() => commits.acknowledge(1)).toThrow(
      expect.objectContaining({ code: 'WIRE_UNEXPECTED' }),
    );
  });

  it('reject what waits, and what waits later, when the connection is lost', async () => {
    const commits = new Commits();
    const waiting = commits.wait(1);
    commits.fail(new Error('lost'));
    await expect(waiting).rejects.toThrow('lost');
    await expect(commits.wait(2)).rejects.toThrow('lost');
  });
});

describe('spreads', () => {
  it('are nearest-rank', () => {
    expect(spreadOf([])).toEqual({ p50: 0, p99: 0, max: 0 });
    expect(spreadOf([5])).toEqual({ p50: 5, p99: 5, max: 5 });
    const values = Array.from({ length: 100 }, (_, index) => index + 1);
    expect(spreadOf(values)).toEqual({ p50: 50, p99: 99, max: 100 });
  });
});
