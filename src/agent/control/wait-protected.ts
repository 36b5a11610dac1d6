/** Follows a domain until it is protected, telling of the progress. */
import { setTimeout as delay } from 'node:timers/promises';
import { UnderstudyError } from '../../errors.js';
import type { State } from '../../failover/states.js';
import { agentError } from '../errors.js';
import type { DomainStatus } from '../status.js';

/** The agent has no push for this; a look costs it under a millisecond. */
const LOOK_EVERY_MS = 100;

const COPYING: ReadonlySet<State> = new Set(['syncing', 're-protecting']);

export async function waitProtected(
  look: () => Promise<DomainStatus>,
  options: { timeoutMs: number; onStatus: (status: DomainStatus) => void },
): Promise<DomainStatus> {
  const deadlineMs = performance.now() + options.timeoutMs;
  for (;;) {
    const status = await look();
    options.onStatus(status);
    if (status.state === 'protected') return status;
    if (!COPYING.has(status.state)) throw endedAs(status);
    if (performance.now() > deadlineMs) {
      const seconds = Math.round(options.timeoutMs / 1000);
      throw agentError(
        'AGENT_WAIT_TIMED_OUT',
        `${status.domain} is still ${status.state} after ${seconds} s`,
      );
    }
    await delay(LOOK_EVERY_MS);
  }
}

function endedAs({ domain, state, reason }: DomainStatus): UnderstudyError {
  if (reason !== undefined) return new UnderstudyError(reason.code, reason.message, reason.remedy);
  return agentError('AGENT_ENDED_UNPROTECTED', `${domain} is ${state}`);
}
