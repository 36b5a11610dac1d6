/** Follows a domain until it is protected, telling of the progress. */
import { setTimeout as delay } from 'node:timers/promises';
import { UnderstudyError } from '../../errors.js';
import type { State } from '../../failover/states.js';
import { agentError, type agentErrors } from '../errors.js';
import type { DomainStatus } from '../status.js';

/** The agent has no push for this; a look costs it under a millisecond. */
const LOOK_EVERY_MS = 100;

const COPYING: ReadonlySet<State> = new Set(['syncing', 're-protecting']);
/** Its process runs: it is late and has not ended. */
const SILENT: keyof typeof agentErrors = 'AGENT_SESSION_SILENT';

export async function waitProtected(
  look: () => Promise<DomainStatus>,
  options: { timeoutMs: number; onStatus: (status: DomainStatus) => void },
): Promise<DomainStatus> {
  const deadlineMs = performance.now() + options.timeoutMs;
  for (;;) {
    const status = await look();
    options.onStatus(status);
    if (status.state === 'protected') return status;
    const late = performance.now() > deadlineMs;
    const silent = status.reason?.code === SILENT;
    if (silent ? late : !COPYING.has(status.state)) throw endedAs(status);
    if (late) {
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
