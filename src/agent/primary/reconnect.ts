/** A primary whose backup is lost tries to reach it again, with back-off, for as long as that is wanted. */
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf, type UnderstudyError } from '../../errors.js';
import { agentError } from '../errors.js';
import { RECONNECT_DELAY_MS_MAX, RECONNECT_DELAY_MS_MIN } from '../limits.js';
import { LOG_EVENTS, type Log } from '../log.js';
import { isSuperseded } from '../session/superseded.js';
import type { PrimaryGuest } from './primary-guest.js';

export interface Reconnecting {
  log: Log;
  signal: AbortSignal;
  /** The guest to be protected again; undefined when there is nothing to try for any more. */
  guest: () => Promise<PrimaryGuest | undefined>;
  connect: (guest: PrimaryGuest) => Promise<void>;
  /** The other host says that it acted on a newer term. Throws what it was given unless that may be tried again. */
  onSuperseded: (error: UnderstudyError) => Promise<void>;
}

/** Resolves when connected or not wanted any more; rejects when the other host acted on a newer term. */
export async function reconnect({
  log,
  signal,
  guest,
  connect,
  onSuperseded,
}: Reconnecting): Promise<void> {
  let delayMs = RECONNECT_DELAY_MS_MIN;
  while (!signal.aborted) {
    try {
      const now = await guest();
      if (now === undefined) return;
      await requireAlive(now);
      return await connect(now);
    } catch (error) {
      if (isSuperseded(error)) await onSuperseded(error);
      log.debug(LOG_EVENTS.backupLost, { error: messageOf(error), delayMs });
    }
    await delay(delayMs, undefined, { signal }).catch(() => undefined);
    delayMs = Math.min(delayMs * 2, RECONNECT_DELAY_MS_MAX);
  }
}

/** A backup that is asked again gives up the checkpoint it has: only for a guest that lives. */
async function requireAlive(guest: PrimaryGuest): Promise<void> {
  const sign = await guest.vitalSign();
  if (sign !== 'alive') throw agentError('AGENT_GUEST_DIED', `the guest’s QEMU is ${sign}`);
}
