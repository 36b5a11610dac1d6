/** Who holds output with a plug. */
import { readFile } from 'node:fs/promises';
import { holdError } from './errors.js';
import { ifbOf } from './interface-names.js';

/**
 * HOLD_STILL_HELD while a live process holds the tap's output with a plug: it has a name in the abstract
 * UNIX namespace (native/net/hold_lock.cc), which ends with it.
 */
export async function requireNoLivePlug(tap: string): Promise<void> {
  // The kernel shows the leading zero of an abstract name as "@" (proc(5), /proc/net/unix).
  const name = `@understudy-hold/${ifbOf(tap)}`;
  const sockets = await readFile('/proc/self/net/unix', 'utf8');
  if (sockets.split('\n').some((line) => line.endsWith(` ${name}`))) {
    throw holdError('HOLD_STILL_HELD', `${tap} is held: a live process holds ${ifbOf(tap)}`);
  }
}
