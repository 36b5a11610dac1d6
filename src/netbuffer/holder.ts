/**
 * The `holder` backend: the guest's output is redirected into this process, which keeps it
 * until its epoch is released (the layout: tap-layout.ts). When the process dies its interfaces
 * vanish, the redirect leads nowhere and the kernel drops the guest's output: fail closed.
 */
import { notAfterNs } from '../clock.js';
import { messageOf } from '../errors.js';
import { type NativeTapHolder, native } from '../native.js';
import { holdError, holdErrorFrom } from './errors.js';
import { HeldLayout } from './held-layout.js';
import { bridgeTapOf, readTapOf, requireInterfaceName } from './interface-names.js';
import { HeldOutput, nativeOptions, requireNoLiveHolder, tapToHold } from './native-hold.js';
import type { HoldBackend, HoldOptions, OutputHold } from './output-hold.js';
import { decodePortRecord, type PortRecord } from './port-record.js';
import { probeHolder } from './probe.js';
import {
  enterHeldLayout,
  forgetHold,
  freeOutput,
  joinPort,
  planFreeing,
  quietBridgeTap,
  type SplitPort,
  stopOutput,
} from './tap-layout.js';
import {
  findLink,
  hasIngressQdisc,
  type LearnedPort,
  type LinkState,
  readBridge,
  readHoldFilters,
  readLearned,
  readPlacesToFree,
  readVlans,
} from './tap-state.js';

const nothingLearned: LearnedPort = { macs: [], groups: [] };

/** Implements `HoldBackend.holdOutput`. Also takes over a tap whose former hold was killed. */
export async function holdOutput(options: HoldOptions): Promise<OutputHold> {
  const port = splitPortOf(options);
  const { guest, left } = await tapToHold(port.tap, port.bridge);
  const wasStopped = (await readHoldFilters(port.tap, port.readTap)).length > 0;
  const record = left ?? (await recordOf(port, guest));

  const layout = new HeldLayout(port, record, options.onTrouble);
  const taps = openTaps(port, { ...options, onTrouble: (trouble) => layout.onTrouble(trouble) });
  try {
    await enterHeldLayout(port, record);
    layout.watch(taps);
  } catch (failure) {
    await undo(failure, port, record, taps, wasStopped);
    throw failure;
  }
  return new HolderHold(port, record, taps, layout);
}

/** Implements `HoldBackend.restoreTap`. */
export async function restoreTap(options: { tap: string; bridge: string }): Promise<void> {
  const port = splitPortOf(options);
  await requireNoLiveHolder(port.tap);
  const guest = await findLink(port.tap);
  if (guest === undefined) return;
  const stopped = (await readPlacesToFree(port.tap, port.readTap)).length > 0;
  const left = decodePortRecord(guest.alias);
  if (left === undefined && !stopped && guest.master === port.bridge) return;
  const record = left ?? (await recordOf(port, guest));
  await joinPort(port, record);
  await freeOutput(await planFreeing(port, record));
  await forgetHold(port, record, nothingLearned);
}

export const holderBackend: HoldBackend = {
  name: 'holder',
  canLease: true,
  probe: probeHolder,
  holdOutput,
  restoreTap,
};

class HolderHold extends HeldOutput {
  constructor(
    private readonly port: SplitPort,
    private readonly record: PortRecord,
    private readonly taps: NativeTapHolder,
    private readonly layout: HeldLayout,
  ) {
    super('holder', port.tap, port.bridge, taps, 'HOLD_CLOSED');
  }

  passUntil(deadlineMs: number): void {
    this.call('pass', () => this.taps.passUntil(notAfterNs(deadlineMs)));
  }

  protected override released(release: Promise<number>): Promise<number> {
    return this.layout.orLost(release);
  }

  protected async end(release: boolean): Promise<void> {
    await this.layout.leave(this.taps);
    if ((await findLink(this.port.tap)) !== undefined) await this.#leave(release);
    await this.taps.close();
  }

  /** What is held goes first, then the tap rejoins; output rests for the few steps in between. */
  async #leave(release: boolean): Promise<void> {
    const { port, taps } = this;
    const record = this.record;
    if (release) taps.setPassing(true);
    await joinPort(port, record);
    await quietBridgeTap(port);
    const learned = await readLearned(port.bridge, port.bridgeTap);
    const plan = await planFreeing(port, record);
    await stopOutput(port);
    if (release) await drain(taps);
    else taps.dropAll();
    await freeOutput(plan);
    await forgetHold(port, record, learned);
  }
}

/** Everything that has come in so far leaves, in order. */
async function drain(taps: NativeTapHolder): Promise<void> {
  const { openEpoch } = taps.stats();
  taps.closeEpoch(openEpoch);
  await taps.release(openEpoch);
}

/** Back to where `holdOutput` began: plain, or stopped when a dead hold was there before. */
async function undo(
  failure: unknown,
  port: SplitPort,
  record: PortRecord,
  taps: NativeTapHolder,
  wasStopped: boolean,
): Promise<void> {
  try {
    if (!wasStopped && (await findLink(port.tap)) !== undefined) {
      await joinPort(port, record);
      await drain(taps);
      await freeOutput(await planFreeing(port, record));
      await forgetHold(port, record, nothingLearned);
    }
  } catch (undoFailure) {
    throw holdError(
      'HOLD_COMMAND_FAILED',
      `${messageOf(failure)}; giving ${port.tap} back to ${port.bridge} failed too: ${messageOf(undoFailure)}`,
      { operation: 'hold output', cause: failure },
    );
  } finally {
    await taps.close();
  }
}

function splitPortOf({ tap, bridge }: { tap: string; bridge: string }): SplitPort {
  return {
    tap: requireInterfaceName(tap),
    bridge: requireInterfaceName(bridge),
    readTap: readTapOf(tap),
    bridgeTap: bridgeTapOf(tap),
  };
}

async function recordOf(port: SplitPort, guest: LinkState): Promise<PortRecord> {
  const { vlanFiltering } = await readBridge(port.bridge);
  return {
    bridge: port.bridge,
    ownsQdisc: !(await hasIngressQdisc(port.tap)),
    settings: guest.portSettings,
    vlans: vlanFiltering ? await readVlans(port.tap) : [],
    alias: guest.alias,
  };
}

function openTaps(port: SplitPort, options: HoldOptions): NativeTapHolder {
  try {
    return native.net.openTapHolder({
      ...nativeOptions(options),
      kernelPasses: options.kernelPasses ?? true,
      readTap: port.readTap,
      bridgeTap: port.bridgeTap,
    });
  } catch (thrown) {
    throw holdErrorFrom(thrown, 'HOLD_OPEN_FAILED', 'hold output');
  }
}
