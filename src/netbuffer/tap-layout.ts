/**
 * Moves a running guest's tap between two layouts, with its link up all the time.
 *
 *   plain:  tap is the bridge port.
 *   held:   tap ingress -> readTap -> (process) -> bridgeTap, which is the bridge port;
 *           bridgeTap egress -> tap, so that what goes to the guest stays in the kernel.
 *           While output passes, tap ingress -> bridgeTap in the kernel (native/net/kernel_pass.h); that is
 *           no part of the layout: it comes and goes with the process.
 *
 * A new port first joins *quiet*: the bridge floods nothing to it and knows no address behind
 * it, so that it can reach the forwarding state while the other port still does the work. The
 * change-over is then a single batch. Order is everything here: output is caught before the tap
 * leaves its bridge, and is let go only after everything that was caught has left.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../errors.js';
import { holdError } from './errors.js';
import { PORT_FORWARDING_GRACE_MS, PORT_STATE_POLL_MS } from './limits.js';
import { runBatch } from './net-commands.js';
import { encodePortRecord, type PortRecord } from './port-record.js';
import { addRedirect, dropHoldLines } from './redirect.js';
import {
  type BridgeState,
  hasIngressQdisc,
  holdPreferences,
  type LearnedPort,
  readBridge,
  readHoldFilters,
  readLearned,
  readLink,
  readPlacesToFree,
} from './tap-state.js';

/** The interfaces of one held guest. */
export interface SplitPort {
  readonly tap: string;
  readonly bridge: string;
  readonly readTap: string;
  readonly bridgeTap: string;
}

const quiet = 'flood off mcast_flood off bcast_flood off mcast_router 0';
const normal = 'flood on mcast_flood on bcast_flood on mcast_router 1';

/**
 * Plain -> held. Both new taps exist, the reading one is up and held by a process. When this
 * fails half-way, `joinPort` (plain before) or nothing (a dead hold before: output stays
 * stopped) is the way back.
 */
export async function enterHeldLayout(port: SplitPort, record: PortRecord): Promise<void> {
  const { tap, bridge, readTap, bridgeTap } = port;
  const guest = await readLink(tap);
  const bridgeState = await readBridge(bridge);
  const learned = await readLearned(bridge, tap);
  const before = await readHoldFilters(tap, readTap);
  const preference = holdPreferences.find((free) => !before.includes(free)) ?? holdPreferences[1];

  await runBatch('tc', [
    // Straight into the descriptor's own queue: nothing may linger in front of the boundary.
    `qdisc replace dev ${readTap} root noqueue`,
    `qdisc add dev ${bridgeTap} clsact`,
    ...((await hasIngressQdisc(tap)) ? [] : [`qdisc add dev ${tap} clsact`]),
  ]);
  await addRedirect({ from: bridgeTap, side: 'egress', to: tap, preference: 1 });
  await runBatch('ip', [
    `link set dev ${tap} alias ${encodePortRecord(record)}`,
    // The bridge takes its own MAC and MTU from its ports: the new one must not move them.
    `link set dev ${readTap} mtu ${guest.mtu}`,
    `link set dev ${bridgeTap} mtu ${guest.mtu} address ${guest.mac}`,
    `link set dev ${bridgeTap} master ${bridge}`,
    `link set dev ${bridgeTap} type bridge_slave ${quiet}`,
    `link set dev ${bridgeTap} up`,
  ]);
  await setVlans(bridgeTap, bridgeState, record);
  await untilPortIs(['forwarding'], bridgeTap, bridgeState);

  // A dead hold stays in front, and drops everything, until the new one is in place behind it.
  if (before.includes(preference)) await runBatch('tc', dropHoldLines(tap, [preference]));
  await addRedirect({ from: tap, side: 'ingress', to: readTap, preference });
  const dead = before.filter((old) => old !== preference);
  await runBatch('tc', dropHoldLines(tap, dead));
  await runBatch('ip', [
    ...(guest.master === bridge ? [`link set dev ${tap} nomaster`] : []),
    ...loudLines(bridgeTap, record),
  ]);
  await teachBridge(bridge, bridgeTap, learned);
}

/**
 * Held (live, dead or half-made) -> plain, all but the guest's output: that comes last
 * (`freeOutput`), when the caller has let go or thrown away what is held.
 */
export async function joinPort(port: SplitPort, record: PortRecord): Promise<void> {
  const { tap, bridge } = port;
  const guest = await readLink(tap);
  const bridgeState = await readBridge(bridge);
  if (guest.master !== bridge) {
    await runBatch('ip', [
      `link set dev ${tap} master ${bridge}`,
      `link set dev ${tap} type bridge_slave ${quiet}`,
    ]);
    await setVlans(tap, bridgeState, record);
    // A guest whose link is down has a disabled port, and nothing to wait for.
    await untilPortIs(['forwarding', 'disabled'], tap, bridgeState);
  }
  await runBatch('ip', loudLines(tap, record));
}

/**
 * The port that stands for the guest was taken off its bridge, or set down. It comes up last, so that
 * nothing leaves in a wrong VLAN.
 */
export async function rejoinBridge(port: SplitPort, record: PortRecord): Promise<void> {
  const { bridge, bridgeTap } = port;
  const bridgeState = await readBridge(bridge);
  await runBatch('ip', [
    `link set dev ${bridgeTap} down`,
    `link set dev ${bridgeTap} master ${bridge}`,
    ...loudLines(bridgeTap, record),
  ]);
  await setVlans(bridgeTap, bridgeState, record);
  await runBatch('ip', [`link set dev ${bridgeTap} up`]);
  await untilPortIs(['forwarding'], bridgeTap, bridgeState);
}

/** The new port no longer gets what is flooded: the tap does, since `joinPort`. */
export async function quietBridgeTap(port: SplitPort): Promise<void> {
  await runBatch('ip', [`link set dev ${port.bridgeTap} type bridge_slave ${quiet}`]);
}

/** Output stops here: the kernel drops what it would redirect to an interface that is down. */
export async function stopOutput(port: SplitPort): Promise<void> {
  await runBatch('ip', [`link set dev ${port.readTap} down`]);
}

/** What `freeOutput` will do; read beforehand, because output rests from `stopOutput` until then. */
export async function planFreeing(port: SplitPort, record: PortRecord): Promise<string[]> {
  const { tap, readTap } = port;
  const ownsQdisc = record.ownsQdisc && (await hasIngressQdisc(tap));
  return [
    ...dropHoldLines(tap, await readPlacesToFree(tap, readTap)),
    ...(ownsQdisc ? [`qdisc del dev ${tap} clsact`] : []),
  ];
}

/** The guest's output goes straight to the bridge from now on. */
export async function freeOutput(plan: readonly string[]): Promise<void> {
  await runBatch('tc', plan);
}

/** The tap is plain; the last traces of the hold go. */
export async function forgetHold(
  { tap, bridge }: SplitPort,
  record: PortRecord,
  learned: LearnedPort,
): Promise<void> {
  await teachBridge(bridge, tap, learned);
  await runBatch('ip', [`link set dev ${tap} alias ${quoted(record.alias)}`]);
}

function loudLines(port: string, record: PortRecord): string[] {
  const settings = Object.entries(record.settings).map(([word, value]) => ` ${word} ${value}`);
  return [`link set dev ${port} type bridge_slave ${normal}${settings.join('')}`];
}

/**
 * Moves what the bridge knew to the port that now has the guest behind it: without the address
 * its packets would be flooded to everybody, without the groups it would miss multicast until
 * the next membership query.
 */
async function teachBridge(bridge: string, port: string, learned: LearnedPort): Promise<void> {
  const inVlan = (word: string, vlan: number | undefined) =>
    vlan === undefined ? '' : ` ${word} ${vlan}`;
  const addresses = learned.macs.map(
    ({ mac, vlan }) => `fdb replace ${mac} dev ${port} master dynamic${inVlan('vlan', vlan)}`,
  );
  await runBatch('bridge', addresses);
  for (const { group, vlan } of learned.groups) {
    const line = `mdb add dev ${bridge} port ${port} grp ${group} temp${inVlan('vid', vlan)}`;
    await runBatch('bridge', [line]).catch((refusal: unknown) => {
      // The guest's own report was faster.
      if (!/File exists/.test(messageOf(refusal))) throw refusal;
    });
  }
}

async function setVlans(port: string, bridge: BridgeState, record: PortRecord): Promise<void> {
  if (!bridge.vlanFiltering) return;
  // The kernel gives every new port VLAN 1.
  await runBatch('bridge', [
    `vlan del dev ${port} vid 1`,
    ...record.vlans.map((vlan) => {
      const [range, ...flags] = vlan.split('.');
      const words = flags.map((flag) => (flag === 'p' ? ' pvid' : ' untagged'));
      return `vlan add dev ${port} vid ${range}${words.join('')}`;
    }),
  ]);
}

/** Spanning tree moves the port by its own timers, so there is nothing to wait on but the state. */
async function untilPortIs(
  wanted: readonly string[],
  port: string,
  bridge: BridgeState,
): Promise<void> {
  const boundMs = 2 * bridge.forwardDelayMs + PORT_FORWARDING_GRACE_MS;
  const deadlineMs = performance.now() + boundMs;
  for (;;) {
    const { portState } = await readLink(port);
    if (portState !== undefined && wanted.includes(portState)) return;
    if (performance.now() > deadlineMs) {
      throw holdError(
        'HOLD_NEVER_FORWARDING',
        `${port} is still ${portState} after ${Math.round(boundMs)} ms`,
      );
    }
    await delay(PORT_STATE_POLL_MS);
  }
}

const quoted = (text: string): string => `"${text.replaceAll('"', '')}"`;
