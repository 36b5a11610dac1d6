/**
 * Finds out whether this kernel can hold output, by doing it once on scratch interfaces. `holder`: two
 * taps, a redirect from one to the other, one packet through it; `plug`: a tap, an IFB with a plug, one
 * packet held and let go. Nothing is left behind.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { deferred } from '../deferred.js';
import { messageOf } from '../errors.js';
import { type NativeTapHolder, native } from '../native.js';
import { holdError } from './errors.js';
import { PROBE_FRAME_TIMEOUT_MS } from './limits.js';
import { runBatch } from './net-commands.js';
import type { HoldProbe } from './output-hold.js';
import { addRedirect } from './redirect.js';

/** Locally administered, never on a wire: the scratch interfaces have no bridge. */
const scratchMac = '02:00:00:00:00:01';

let probesMade = 0;

/** Implements `HoldBackend.probe`; needs root in this network namespace. */
export async function probeHolder(): Promise<HoldProbe> {
  try {
    await tryHolding();
    return { available: true, backend: 'holder' };
  } catch (failure) {
    return { available: false, backend: 'holder', reason: messageOf(failure) };
  }
}

/** Implements `HoldBackend.probe` for `plug`; needs root in this network namespace. */
export async function probePlug(): Promise<HoldProbe> {
  try {
    native.net.probePlug();
    return { available: true, backend: 'plug' };
  } catch (failure) {
    return { available: false, backend: 'plug', reason: messageOf(failure) };
  }
}

async function tryHolding(): Promise<void> {
  const suffix = `${process.pid}${String.fromCharCode(97 + (probesMade++ % 26))}`;
  const waiting = deferred();
  const holder = native.net.openTapHolder({
    readTap: `uspr${suffix}`,
    bridgeTap: `uspb${suffix}`,
    epoch: 1,
    limitPackets: 16,
    limitBytes: 1024 * 1024,
    onWaiting: () => waiting.resolve(),
    onFilling: () => undefined,
    onTrouble: ({ reason }) => waiting.reject(holdError('HOLD_UNAVAILABLE', reason)),
  });
  const tooLate = new AbortController();
  try {
    await sendThrough(holder);
    await Promise.race([waiting.promise, frameTimeout(tooLate.signal)]);
  } finally {
    tooLate.abort();
    await holder.close();
  }
}

/** A packet that leaves the second tap must come out of the first. */
async function sendThrough(holder: NativeTapHolder): Promise<void> {
  const { readTap, bridgeTap } = holder;
  await runBatch('tc', [
    `qdisc replace dev ${readTap} root noqueue`,
    `qdisc add dev ${bridgeTap} clsact`,
  ]);
  await addRedirect({ from: bridgeTap, side: 'ingress', to: readTap, preference: 1 });
  await addRedirect({ from: bridgeTap, side: 'egress', to: readTap, preference: 1 });
  await runBatch('ip', [`link set dev ${bridgeTap} up`]);
  native.net.announce({ ifname: bridgeTap, mac: scratchMac, addresses: [] });
}

async function frameTimeout(signal: AbortSignal): Promise<never> {
  await delay(PROBE_FRAME_TIMEOUT_MS, undefined, { signal });
  throw holdError('HOLD_UNAVAILABLE', 'a redirected packet did not arrive');
}
