/** The primary's part of a planned switchover. */
import { wireError } from '../../wire/errors.js';
import type { PrimaryGuest } from './primary-guest.js';
import type { Protection } from './protection.js';

/**
 * The guest stands still from here on; what it did and said until now is committed and released, then the backup is
 * told. Its answer, or what went wrong, ends the protection.
 */
export async function handOver(
  guest: PrimaryGuest | undefined,
  protection: Protection | undefined,
): Promise<void> {
  try {
    if (protection === undefined) throw wireError('WIRE_CLOSED', 'no backup is connected');
    await guest?.standStill();
    await protection.checkpointNow();
    await protection.handOver();
  } catch (error) {
    protection?.fail(error as Error);
  }
}
