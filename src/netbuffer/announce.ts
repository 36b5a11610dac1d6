/**
 * Tells the network that a guest now lives behind this host, after a promotion: the bridge's own
 * table first (it may still send the guest's packets to the uplink), then every neighbour, from
 * each other port of the bridge. Never from the bridge itself: switches would learn the right
 * port but this bridge would take the guest for its own.
 */
import { native } from '../native.js';
import { holdError, holdErrorFrom } from './errors.js';
import { bridgeTapOf, requireInterfaceName } from './interface-names.js';
import { runBatch } from './net-commands.js';
import { findLink, readPortsUp } from './tap-state.js';

export interface Presence {
  readonly tap: string;
  readonly bridge: string;
  /** Of the guest, `52:54:00:…`. */
  readonly mac: string;
  /** IPv4 and IPv6, as learned from the guest's frames; may be empty. */
  readonly addresses: readonly string[];
}

const macPattern = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i;

/** Returns where and how much was sent. HOLD_BAD_ANNOUNCEMENT, HOLD_NOT_ON_BRIDGE, HOLD_ANNOUNCE_FAILED. */
export async function announcePresence(
  presence: Presence,
): Promise<{ frames: number; ports: string[] }> {
  const { mac, addresses } = presence;
  const bridge = requireInterfaceName(presence.bridge);
  if (!macPattern.test(mac)) throw holdError('HOLD_BAD_ANNOUNCEMENT', `not a MAC address: ${mac}`);
  const port = await guestPort(presence.tap, bridge);
  await runBatch('bridge', [`fdb replace ${mac} dev ${port} master dynamic`]);
  const ports = (await readPortsUp(bridge)).filter((name) => name !== port);
  let frames = 0;
  for (const ifname of ports) frames += announceOn(ifname, mac, addresses);
  return { frames, ports };
}

/** The port behind which the guest is: its tap, or the one that stands for it while it is held. */
async function guestPort(tap: string, bridge: string): Promise<string> {
  for (const name of [requireInterfaceName(tap), bridgeTapOf(tap)]) {
    const link = await findLink(name);
    if (link?.master === bridge) return name;
  }
  throw holdError('HOLD_NOT_ON_BRIDGE', `${tap} is not a port of ${bridge}`);
}

function announceOn(ifname: string, mac: string, addresses: readonly string[]): number {
  try {
    return native.net.announce({ ifname, mac, addresses }).frames;
  } catch (thrown) {
    const invalid = thrown instanceof Error && 'code' in thrown && thrown.code === 'BAD_ARGUMENT';
    throw holdErrorFrom(
      thrown,
      invalid ? 'HOLD_BAD_ANNOUNCEMENT' : 'HOLD_ANNOUNCE_FAILED',
      `announce on ${ifname}`,
    );
  }
}
