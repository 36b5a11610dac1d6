import { describe, expect, it } from 'vitest';
import {
  adaptivePolicy,
  fixedPolicy,
  type PolicyInput,
  policyOf,
  STAGING_FULL_PART,
} from '../../../src/epoch/policy.js';

const STAGING = 1_000;

/** A quiet guest, 20 ms after its last pause. */
function input(changed: Partial<PolicyInput> = {}): PolicyInput {
  return {
    nowMs: 1_020,
    lastPausedAtMs: 1_000,
    waitingSinceMs: undefined,
    holdFilling: false,
    asked: false,
    lastCommitMs: 0,
    pauseCostMs: 0,
    dirty: { bytesPerMs: 0, seenAtMs: 1_000, seenBytes: 0, stagingBytes: STAGING },
    ...changed,
  };
}

const dirty = (changed: Partial<PolicyInput['dirty']>) => ({ ...input().dirty, ...changed });

describe('the fixed policy, every 50 ms', () => {
  const policy = fixedPolicy(50);
  it.each([
    ['begins at once', { lastPausedAtMs: undefined }, 0],
    ['waits for the rest of the interval', {}, 30],
    ['does not make up for a late one', { nowMs: 1_400 }, 0],
    ['does not care that output waits', { waitingSinceMs: 1_001 }, 30],
    ['does not care what pauses cost', { pauseCostMs: 100 }, 30],
    ['begins at once when asked', { asked: true }, 0],
    ['begins at once when the hold fills', { holdFilling: true }, 0],
    ['begins before staging is full', { dirty: dirty({ bytesPerMs: 30 }) }, 5],
  ] as const)('%s', (_what, changed, expected) => {
    expect(policy.nextPauseInMs(input(changed))).toBeCloseTo(expected, 9);
  });
});

describe('the adaptive policy, 5 to 200 ms, a fifth for pauses', () => {
  const policy = adaptivePolicy({
    name: 'adaptive',
    minIntervalMs: 5,
    maxIntervalMs: 200,
    pauseBudget: 0.2,
  });
  it.each([
    ['begins at once', { lastPausedAtMs: undefined }, 0],
    ['leaves a quiet guest alone until the maximum', {}, 180],
    ['begins when output waits', { waitingSinceMs: 1_020 }, 0],
    ['but not before the minimum', { nowMs: 1_002, waitingSinceMs: 1_001 }, 3],
    ['nor before the pause budget allows it', { waitingSinceMs: 1_020, pauseCostMs: 6 }, 10],
    ['which cannot stretch beyond the maximum', { waitingSinceMs: 1_020, pauseCostMs: 90 }, 180],
    ['does not count pauses against a quiet guest', { pauseCostMs: 90 }, 180],
    ['begins when asked, budget or not', { asked: true, pauseCostMs: 90 }, 0],
    ['begins when the hold fills, budget or not', { holdFilling: true, pauseCostMs: 90 }, 0],
    ['begins late when it is late', { nowMs: 1_900 }, 0],
    ['sees staging fill at the rate of the last epoch', { dirty: dirty({ bytesPerMs: 30 }) }, 5],
    [
      'counts the time that a checkpoint takes',
      { dirty: dirty({ bytesPerMs: 30 }), lastCommitMs: 4 },
      1,
    ],
    [
      'believes a look more than the rate',
      { dirty: dirty({ seenAtMs: 1_020, seenBytes: STAGING * STAGING_FULL_PART }) },
      0,
    ],
    [
      'goes on from a look at the rate',
      { dirty: dirty({ bytesPerMs: 10, seenAtMs: 1_010, seenBytes: 350 }) },
      30,
    ],
  ] as const)('%s', (_what, changed, expected) => {
    expect(policy.nextPauseInMs(input(changed))).toBeCloseTo(expected, 9);
  });
});

describe('over time', () => {
  /** Pauses of `pauseMs` in a guest that always works and always sends. */
  function pausedShare(pauseMs: number, pauseBudget: number): number {
    const policy = policyOf({
      name: 'adaptive',
      minIntervalMs: 2,
      maxIntervalMs: 200,
      pauseBudget,
    });
    let nowMs = 0;
    let pausedMs = 0;
    let lastPausedAtMs: number | undefined;
    while (nowMs < 10_000) {
      nowMs += policy.nextPauseInMs(
        input({ nowMs, lastPausedAtMs, waitingSinceMs: nowMs, pauseCostMs: pauseMs }),
      );
      lastPausedAtMs = nowMs;
      nowMs += pauseMs;
      pausedMs += pauseMs;
    }
    return pausedMs / nowMs;
  }

  it.each([
    [1, 0.2],
    [7, 0.2],
    [30, 0.2],
    [7, 0.5],
    [3, 0.05],
  ])('pauses of %d ms stay within a budget of %d', (pauseMs, budget) => {
    expect(pausedShare(pauseMs, budget)).toBeLessThanOrEqual(budget * 1.02);
    expect(pausedShare(pauseMs, budget)).toBeGreaterThan(budget * 0.9);
  });
});
