/** Waiting for protection: what ends it, and what is only late. */
import { expect, it, vi } from 'vitest';
import { waitProtected } from '../../../src/agent/control/wait-protected.js';
import type { DomainStatus } from '../../../src/agent/status.js';

const base = { domain: 'vm', role: 'primary', term: 1, since: '', sessionPid: 1 } as const;
const syncing: DomainStatus = { ...base, state: 'syncing' };
const reached: DomainStatus = { ...base, state: 'protected' };
const failedBecause = (code: string): DomainStatus => ({
  ...base,
  state: 'failed',
  reason: { code, message: 'why', remedy: 'what to do' },
});
const silent = failedBecause('AGENT_SESSION_SILENT');

/** The statuses in turn; the last one again and again. */
function wait(statuses: readonly DomainStatus[], timeoutMs = 10_000) {
  const onStatus = vi.fn();
  const look = async () =>
    statuses[onStatus.mock.calls.length] ?? (statuses.at(-1) as DomainStatus);
  return { onStatus, done: waitProtected(look, { timeoutMs, onStatus }) };
}

it('tells of every status until the domain is protected', async () => {
  const { onStatus, done } = wait([syncing, syncing, reached]);
  await expect(done).resolves.toBe(reached);
  expect(onStatus).toHaveBeenCalledTimes(3);
});

it('goes on while the session is silent', async () => {
  await expect(wait([syncing, silent, syncing, reached]).done).resolves.toBe(reached);
});

it('says that the session is silent when it still is at the end', async () => {
  await expect(wait([silent], 1).done).rejects.toMatchObject({ code: 'AGENT_SESSION_SILENT' });
});

it('ends with the reason of the session', async () => {
  const { onStatus, done } = wait([syncing, failedBecause('WIRE_TIMED_OUT')]);
  await expect(done).rejects.toMatchObject({ code: 'WIRE_TIMED_OUT', remedy: 'what to do' });
  expect(onStatus).toHaveBeenCalledTimes(2);
});

it('is bounded', async () => {
  await expect(wait([syncing], 1).done).rejects.toMatchObject({ code: 'AGENT_WAIT_TIMED_OUT' });
});
