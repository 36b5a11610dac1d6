/** Says in the log what is wrong with this host's certificates, when the agent starts and once a day. */
import { messageOf } from '../errors.js';
import { expiryOf } from '../pki/credentials.js';
import { EXPIRY_WARNING_DAYS } from '../pki/limits.js';
import type { PeerTrust } from '../wire/trust.js';
import { LOG_EVENTS, type Log } from './log.js';
import { reasonOf } from './status.js';

const DAY_MS = 86_400_000;

/** Ends with the process; keeps it from ending at no time. */
export async function watchCertificates(trust: PeerTrust, log: Log): Promise<void> {
  await look(trust, log);
  setInterval(() => {
    look(trust, log).catch((error: unknown) =>
      log.error(LOG_EVENTS.certificates, { error: messageOf(error) }),
    );
  }, DAY_MS).unref();
}

async function look(trust: PeerTrust, log: Log): Promise<void> {
  try {
    const expires = expiryOf(await trust.credentials());
    const days = Math.floor((expires.getTime() - Date.now()) / DAY_MS);
    if (days < EXPIRY_WARNING_DAYS) log.warn(LOG_EVENTS.certificateExpires, { expires, days });
  } catch (error) {
    // The agent goes on: its sessions do, and a certificate that comes later counts at once.
    log.error(LOG_EVENTS.certificates, { reason: reasonOf(error) });
  }
}
