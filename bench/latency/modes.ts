/** The ways a guest is run in that latency and overhead are compared of. Pure. */
import type { ProtectBody } from '../../src/agent/control/client.js';
import type { DomainStatus } from '../../src/agent/status.js';
import { MODE_SETTLED_EPOCHS } from '../limits.js';

export const MODES = [
  'unprotected',
  'fixed100',
  'fixed50',
  'fixed25',
  'adaptive',
  'timeline',
] as const;
export type Mode = (typeof MODES)[number];

/** Something of its own for each mode. */
export function byMode<T>(make: () => T): Record<Mode, T> {
  return {
    ...{ unprotected: make(), fixed100: make(), fixed50: make(), fixed25: make() },
    ...{ adaptive: make(), timeline: make() },
  };
}

export type Protection = Pick<ProtectBody, 'policy' | 'intervalMs' | 'consistency'>;

/** What the agent is asked for; nothing for a guest that is not protected. */
export const PROTECTIONS: Readonly<Record<Exclude<Mode, 'unprotected'>, Protection>> = {
  fixed100: { policy: 'fixed', intervalMs: 100, consistency: 'strong' },
  fixed50: { policy: 'fixed', intervalMs: 50, consistency: 'strong' },
  fixed25: { policy: 'fixed', intervalMs: 25, consistency: 'strong' },
  adaptive: { policy: 'adaptive', consistency: 'strong' },
  timeline: { policy: 'adaptive', consistency: 'timeline' },
};

/** Whether the agent does what was asked, so that no figure stands under another mode’s name. */
export function isIn(protection: Protection, status: DomainStatus): boolean {
  const { policy, intervalMs, consistency } = protection;
  if (status.state !== 'protected' || status.policy?.name !== policy) return false;
  if (status.policy?.name === 'fixed' && status.policy.intervalMs !== intervalMs) return false;
  return status.consistency === consistency;
}

/** Whether the first epochs, which carry what the sync left, are over. */
export function hasSettled(status: DomainStatus): boolean {
  return (status.epochs?.count ?? 0) >= MODE_SETTLED_EPOCHS;
}
