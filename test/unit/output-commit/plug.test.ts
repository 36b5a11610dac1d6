import { describe, expect, it, vi } from 'vitest';
import { LOST, mustHold, noticedAfter, onlySeed, provesOutputCommit, TIMEOUT_MS } from './suite.js';

// A shipper's frames are most of what a schedule would allocate; the model's chunks are tiny.
vi.mock('../../../src/epoch/limits.js', async (original) => ({
  ...(await original<object>()),
  SHIP_CHUNK_BYTES: 256,
}));

describe('output commit under the plug', () => {
  provesOutputCommit('plug');

  describe.skipIf(onlySeed !== undefined)('without the merge rule', () => {
    const planted = 'no merge rule';
    const timeout = TIMEOUT_MS;

    it('packets of unacknowledged epochs leave', { timeout }, async () => {
      const strong = { backend: 'plug', consistency: 'strong', strikes: true } as const;
      expect(await noticedAfter({ ...strong, policy: 'overlapping', planted }, LOST)).toBeDefined();
    });

    it('and where none overlap, packets stay for ever after a failed pause', {
      timeout,
    }, async () => {
      const quiet = { backend: 'plug', consistency: 'strong', strikes: false } as const;
      await expect(mustHold({ ...quiet, policy: 'fixed', planted }, 100)).rejects.toThrow(
        'packets have left',
      );
    });
  });
});
