/**
 * Who may go on: the backup may promote, or the primary may go on without a backup, only with the
 * arbiter's grant for the domain's next term.
 *
 * `static` (two hosts, no third party): the backup gets the grant when every heartbeat path is
 * silent, when the primary itself yields, or when an operator asks; the primary never gets one by
 * itself. Safe under partition because the cut-off primary's output stays held.
 */
import type { Role } from './states.js';

declare const grantBrand: unique symbol;

/** The permission to act under `term`; only an arbiter makes one, `promote` cannot be called without. */
export interface Grant {
  readonly [grantBrand]: true;
  readonly domain: string;
  readonly term: number;
}

export type GrantReason = 'peerLost' | 'peerYielded' | 'failoverAsked';

export interface GrantRequest {
  domain: string;
  role: Role;
  reason: GrantReason;
  /** The newest term this host knows. */
  term: number;
}

export interface Arbiter {
  /** The grant for the next term, or why there is none. */
  ask(request: GrantRequest): Promise<Grant | { refused: string }>;
}

export const staticArbiter: Arbiter = {
  ask: async ({ domain, role, term }) =>
    role === 'backup'
      ? ({ domain, term: term + 1 } as Grant)
      : { refused: 'with the static arbiter a primary never goes on alone by itself' },
};
