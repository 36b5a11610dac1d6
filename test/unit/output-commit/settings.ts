/** What a schedule is made of, what may be planted in it, and what it ends with. */
import type { HoldBackendName } from '../../../src/netbuffer/output-hold.js';
import type { Promotion } from './backup.js';
import type { Moment } from './world.js';

export const STRIKES = [
  'host dies',
  'session dies',
  'link is cut',
  'link stalls',
  'heartbeats are lost',
] as const;
export type Strike = (typeof STRIKES)[number];

/** Mistakes planted on purpose: each must be noticed. */
export type Planted =
  | 'hold opened'
  | 'released at the pause'
  | 'released before the commit'
  | 'no merge rule'
  | 'sent counts as committed'
  | 'acknowledged before whole'
  | 'boundary after the resume'
  | 'promoted and still committing'
  | 'lease beyond the time-out'
  | 'checkpoints do not count as signs of life';

export interface Settings {
  seed: number;
  backend: HoldBackendName;
  policy: 'fixed' | 'adaptive' | 'overlapping';
  /** `timeline`: output passes under a lease, see `leaseMs`. */
  consistency: 'strong' | 'timeline';
  /** False: nothing fails but pauses, and in the end everything must have left. */
  strikes: boolean;
  planted?: Planted;
}

export interface Verdict {
  /** Empty when everything that was promised held. */
  violations: readonly string[];
  strike: Strike | undefined;
  /** Undefined: at no special moment. */
  moment: Moment | undefined;
  promotion: Promotion | undefined;
  seen: number;
  /** Packets beyond the hold's limit. */
  dropped: number;
  trace: readonly string[];
}
