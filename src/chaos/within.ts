/** Waits with a bound, and with an end that somebody else may ask for. */
import { setTimeout as delay } from 'node:timers/promises';
import { chaosError } from './errors.js';

/** Rejects with CHAOS_COMMAND_FAILED after `timeoutMs`; what was begun goes on unheard. */
export async function within<T>(timeoutMs: number, what: Promise<T>, name: string): Promise<T> {
  const timer = new AbortController();
  const late = delay(timeoutMs, undefined, { signal: timer.signal }).then(() => {
    throw chaosError('CHAOS_COMMAND_FAILED', `${name}: no answer within ${timeoutMs} ms`);
  });
  // Aborted when the answer came in time.
  late.catch(() => undefined);
  try {
    return await Promise.race([what, late]);
  } finally {
    timer.abort();
  }
}

/** Rejects with CHAOS_STOPPED as soon as the signal says so. */
export async function waitMs(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(ms, undefined, { signal });
  } catch (cause) {
    throw chaosError('CHAOS_STOPPED', 'asked to stop', { cause });
  }
}
