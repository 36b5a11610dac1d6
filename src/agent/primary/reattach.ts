/** After libvirt was lost: a new libvirtd knows the guest as the old one did, and it is attached to again. */
import type { PeerTrust } from '../../wire/trust.js';
import { askReport } from '../domain/report-request.js';
import type { PrimaryConfig } from '../session/session-config.js';
import { supersededBy } from '../session/superseded.js';
import { type GuestListener, PrimaryGuest } from './primary-guest.js';

export interface Reattaching {
  config: PrimaryConfig;
  /** Names the protection. */
  session: string;
  term: number;
  trust: PeerTrust;
  listener: GuestListener;
}

/**
 * The guest, its output held throughout; undefined when its QEMU died meanwhile.
 * @throws WIRE_STALE_TERM when the other host took it over, and what is met while libvirt or that host is away
 */
export async function reattach(
  former: PrimaryGuest,
  { config, session, term, trust, listener }: Reattaching,
): Promise<PrimaryGuest | undefined> {
  // First, as libvirt may be away for long, and the other host needs none of it.
  const there = await askReport(config.backup, config.domain, [], trust);
  if (there.ours && there.term > term) throw supersededBy(there.term);
  if (!former.isAlive) return undefined;
  return PrimaryGuest.again(former, config, session, listener);
}
