/** Follows a domain until it is protected, telling of the progress. */
import { setTimeout as delay } from 'node:timers/promises';
import type { DomainStatus } from '../agent/status.js';
import { UnderstudyError } from '../errors.js';
import { cliError } from './errors.js';

/** The agent has no push for this; a look costs it under a millisecond. */
const LOOK_EVERY_MS = 100;

export async function waitProtected(
  look: () => Promise<DomainStatus>,
  options: { timeoutMs: number; onStatus: (status: DomainStatus) => void },
): Promise<DomainStatus> {
  const deadlineMs = performance.now() + options.timeoutMs;
  for (;;) {
    const status = await look();
    options.onStatus(status);
    if (status.state === 'protected') return status;
    if (status.state !== 'syncing') throw endedAs(status);
    if (performance.now() > deadlineMs) {
      const seconds = Math.round(options.timeoutMs / 1000);
      throw cliError('CLI_TIMED_OUT', `${status.domain} is still syncing after ${seconds} s`);
    }
    await delay(LOOK_EVERY_MS);
  }
}

function endedAs({ domain, state, reason }: DomainStatus): UnderstudyError {
  if (reason !== undefined) return new UnderstudyError(reason.code, reason.message, reason.remedy);
  return cliError('CLI_NOT_PROTECTED', `${domain} is ${state}`);
}
