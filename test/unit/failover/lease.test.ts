import { describe, expect, it } from 'vitest';
import { Lease } from '../../../src/failover/lease.js';

const policy = { intervalMs: 50, missedMax: 5 };
const TIMEOUT_MS = 250;

describe('the lease of a primary', () => {
  it('is not there before the backup has heard anything', () => {
    expect(new Lease(policy).holds(0)).toBe(false);
  });

  it('ends before a backup that heard nothing since may promote', () => {
    const lease = new Lease(policy);
    lease.heard(1_000);
    expect(lease.holds(1_000)).toBe(true);
    expect(lease.untilMs).toBeLessThan(1_000 + TIMEOUT_MS);
    expect(lease.holds(lease.untilMs)).toBe(false);
  });

  it('lasts longer than heartbeats and their echo take to come round', () => {
    const lease = new Lease(policy);
    lease.heard(1_000);
    expect(lease.holds(1_000 + 2 * policy.intervalMs)).toBe(true);
  });

  it('is not shortened by an older heartbeat on another path', () => {
    const lease = new Lease(policy);
    lease.heard(1_000);
    const { untilMs } = lease;
    lease.heard(900);
    expect(lease.untilMs).toBe(untilMs);
  });

  it('tells who waits for it', async () => {
    const lease = new Lease(policy);
    const renewed = lease.renewed();
    lease.heard(1);
    await expect(renewed).resolves.toBeUndefined();
  });
});
