import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DIRTY_LOOK_EVERY_MS, GUEST_LOAD_MEAN_OVER } from '../../../src/epoch/limits.js';
import { Pacer, type PacerFacts } from '../../../src/epoch/pacer.js';
import { adaptivePolicy } from '../../../src/epoch/policy.js';
import type { EpochRecord } from '../../../src/epoch/records.js';

const policy = adaptivePolicy({
  name: 'adaptive',
  minIntervalMs: 2,
  maxIntervalMs: 200,
  pauseBudget: 0.2,
});
const STAGING = 1024 ** 2;

function pacerOf(facts: Partial<PacerFacts> = {}): Pacer {
  return new Pacer(policy, {
    stagingBytes: STAGING,
    lookAtDirty: undefined,
    guestLoad: () => 0,
    ...facts,
  });
}

/** Resolves with how long the pacer waited, in virtual ms. */
async function waited(pacer: Pacer, change?: { afterMs: number; to: () => void }): Promise<number> {
  const fromMs = performance.now();
  let untilMs: number | undefined;
  void pacer.untilNextPause().then(() => {
    untilMs = performance.now();
  });
  if (change !== undefined) setTimeout(change.to, change.afterMs);
  for (let step = 0; untilMs === undefined && step < 1_000; step += 1) {
    await vi.advanceTimersByTimeAsync(1);
  }
  if (untilMs === undefined) throw new Error('it never began');
  return untilMs - fromMs;
}

const record = (changed: Partial<EpochRecord>): EpochRecord =>
  ({ pauseUs: 0, dirtyPages: 0, ...changed }) as EpochRecord;

describe('the pacer', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('begins the first at once, and leaves a quiet guest alone', async () => {
    const pacer = pacerOf();
    expect(await waited(pacer)).toBeLessThanOrEqual(1);
    pacer.pauseBegins(1);
    expect(await waited(pacer)).toBeCloseTo(200, -1);
  });

  it.each([
    ['output waits', (pacer: Pacer) => pacer.outputWaits(2)],
    ['the hold fills', (pacer: Pacer) => pacer.holdFills()],
    ['somebody asks', (pacer: Pacer) => pacer.ask()],
    ['it is stopped', (pacer: Pacer) => pacer.stop()],
  ])('wakes when %s', async (_what, change) => {
    const pacer = pacerOf();
    pacer.pauseBegins(1);
    const ms = await waited(pacer, { afterMs: 30, to: () => change(pacer) });
    expect(ms).toBeGreaterThanOrEqual(30);
    expect(ms).toBeLessThan(35);
  });

  it('keeps what came while a checkpoint was under way, and forgets what the pause has met', async () => {
    const pacer = pacerOf();
    pacer.pauseBegins(1);
    pacer.outputWaits(2);
    await vi.advanceTimersByTimeAsync(10);
    expect(await waited(pacer)).toBeLessThanOrEqual(1);
    expect(pacer.pauseBegins(2)).toBeCloseTo(10, -1);
    expect(await waited(pacer)).toBeCloseTo(200, -1);
  });

  it('does not forget what waited when the pause fails', async () => {
    const pacer = pacerOf();
    pacer.pauseBegins(1);
    pacer.outputWaits(2);
    pacer.pauseBegins(2);
    pacer.pauseFailed();
    expect(await waited(pacer)).toBeLessThan(5);
  });

  it('leaves to a pause what it is told of before that has closed its epoch', async () => {
    const pacer = pacerOf();
    pacer.pauseBegins(1);
    pacer.outputWaits(1);
    expect(await waited(pacer)).toBeCloseTo(200, -1);
  });

  it('does not forget that either when the pause fails, nor what it is told afterwards', async () => {
    const told = pacerOf();
    told.pauseBegins(1);
    told.outputWaits(1);
    told.pauseFailed();
    expect(await waited(told)).toBeLessThan(5);
    const later = pacerOf();
    later.pauseBegins(1);
    later.pauseFailed();
    later.outputWaits(1);
    expect(await waited(later)).toBeLessThan(5);
  });

  it('charges a pause only for the part of it in which the guest would have worked', async () => {
    const apart = async (load: number): Promise<number> => {
      const pacer = pacerOf({ guestLoad: () => load });
      for (let epoch = 0; epoch < GUEST_LOAD_MEAN_OVER * 10; epoch += 1) {
        pacer.pauseBegins(epoch);
        pacer.epochDone(record({ pauseUs: 4_000 }), 4096);
      }
      pacer.pauseBegins(1_000);
      pacer.outputWaits(1_001);
      return waited(pacer);
    };
    expect(await apart(1)).toBeCloseTo(20, -0.5);
    expect(await apart(0.5)).toBeCloseTo(10, -0.5);
    expect(await apart(0)).toBeLessThan(4);
  });

  it('looks at the dirty set of a guest that may overflow staging', async () => {
    let dirtied = 0;
    const lookAtDirty = vi.fn(async () => {
      dirtied += STAGING / 2;
      return dirtied;
    });
    const pacer = pacerOf({ lookAtDirty });
    pacer.pauseBegins(1);
    // At the second look it is as large as staging.
    expect(await waited(pacer)).toBeCloseTo(2 * DIRTY_LOOK_EVERY_MS, -1);
    expect(lookAtDirty).toHaveBeenCalledTimes(2);
  });
});
