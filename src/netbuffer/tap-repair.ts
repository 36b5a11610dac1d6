/**
 * Puts back what somebody took away from a held tap's layout (tap-layout.ts), while nothing is released.
 * What is still in place is left alone, so it can be repeated.
 */
import { holdError } from './errors.js';
import { runBatch } from './net-commands.js';
import type { PortRecord } from './port-record.js';
import { addRedirect } from './redirect.js';
import { rejoinBridge, type SplitPort } from './tap-layout.js';
import { findLink, hasIngressQdisc, type LinkState, readFilters } from './tap-state.js';

/** @throws HOLD_NO_INTERFACE when an interface is gone, HOLD_COMMAND_… when the kernel refuses */
export async function repairHeldLayout(port: SplitPort, record: PortRecord): Promise<void> {
  const { tap, readTap, bridgeTap, bridge } = port;
  // Output first: it may be leaking.
  await redirectEverything(tap, 'ingress', readTap);
  const guest = await mustBe(tap);
  await runBatch('ip', [
    ...(guest.master === undefined ? [] : [`link set dev ${tap} nomaster`]),
    `link set dev ${readTap} up`,
  ]);
  await redirectEverything(bridgeTap, 'egress', tap);
  const { master, up } = await mustBe(bridgeTap);
  if (master !== bridge || !up) await rejoinBridge(port, record);
}

/** Last resort: a guest whose tap is down is silent. */
export async function silence({ tap }: SplitPort): Promise<void> {
  await runBatch('ip', [`link set dev ${tap} down`]);
}

async function redirectEverything(
  from: string,
  side: 'ingress' | 'egress',
  to: string,
): Promise<void> {
  if (!(await hasIngressQdisc(from))) await runBatch('tc', [`qdisc add dev ${from} clsact`]);
  const filters = await readFilters(from, side);
  if (filters[0]?.redirectsTo === to) return;
  // The hold's own places are the first two (tap-state.ts): whatever stands there makes room.
  const inTheWay = new Set(filters.map(({ preference }) => preference).filter((at) => at <= 2));
  await runBatch(
    'tc',
    [...inTheWay].map((preference) => `filter del dev ${from} ${side} pref ${preference}`),
  );
  await addRedirect({ from, side, to, preference: 1 });
}

async function mustBe(name: string): Promise<LinkState> {
  const link = await findLink(name);
  if (link === undefined) throw holdError('HOLD_NO_INTERFACE', `${name} is gone`);
  return link;
}
