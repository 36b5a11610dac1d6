/**
 * Timeline: output passes under a lease. What clients saw may be lost, but a primary that is cut off is
 * silent before the backup speaks.
 */
import { describe, expect, it, vi } from 'vitest';
import { mustHold, noticedAfter, onlySeed, TIMEOUT_MS } from './suite.js';

// A shipper's frames are most of what a schedule would allocate; the model's chunks are tiny.
vi.mock('../../../src/epoch/limits.js', async (original) => ({
  ...(await original<object>()),
  SHIP_CHUNK_BYTES: 256,
}));

const timeline = { backend: 'holder', consistency: 'timeline', strikes: true } as const;
const timeout = TIMEOUT_MS;
const KILLS = 250;

describe.each(['fixed', 'adaptive'] as const)('the lease, %s', (policy) => {
  it(`never lets two speak at once, in ${KILLS} kills`, { timeout }, async () => {
    const verdicts = await mustHold({ ...timeline, policy }, KILLS);
    if (onlySeed !== undefined) return;
    // It is a lease that is tested, not silence: the guest was heard, also beyond its last checkpoint.
    const lost = verdicts.filter(({ seen, promotion }) => seen > (promotion?.counter ?? seen));
    expect(lost.length).toBeGreaterThan(KILLS / 4);
  });
});

describe.skipIf(onlySeed !== undefined)('a planted mistake is noticed', () => {
  it.each([
    'lease beyond the time-out',
    'checkpoints do not count as signs of life',
  ] as const)('%s', { timeout }, async (planted) => {
    for (const policy of ['fixed', 'adaptive'] as const) {
      expect(await noticedAfter({ ...timeline, policy, planted }, 'two speakers')).toBeDefined();
    }
  });
});
