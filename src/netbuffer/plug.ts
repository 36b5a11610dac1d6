/**
 * The `plug` backend: the guest's output waits in the kernel, in a plug qdisc that the tap's ingress is
 * redirected to (native/net/plug_path.h has the picture). The tap stays a port of its bridge. When the
 * process dies everything stays held: fail closed.
 */
import { type NativeBoundary, type NativePlugHold, native } from '../native.js';
import { holdError, holdErrorFrom } from './errors.js';
import { bridgeTapOf, ifbOf, readTapOf, requireInterfaceName } from './interface-names.js';
import { HELD_BYTES_MAX, HELD_PACKETS_MAX } from './limits.js';
import type {
  CommittedEpoch,
  HoldBackend,
  HoldOptions,
  HoldStats,
  LearnedAddress,
  OutputHold,
} from './output-hold.js';
import { decodePortRecord, type PortRecord } from './port-record.js';
import { probePlug } from './probe.js';
import { forgetHold, joinPort } from './tap-layout.js';
import { findLink, readLink } from './tap-state.js';

/** Implements `HoldBackend.holdOutput`. Also takes over a tap whose former hold, of either kind, was killed. */
async function holdOutput(options: HoldOptions): Promise<OutputHold> {
  const tap = requireInterfaceName(options.tap);
  const bridge = requireInterfaceName(options.bridge);
  const guest = await readLink(tap);
  if (!guest.up) throw holdError('HOLD_TAP_DOWN', `${tap} is down`);
  const left = decodePortRecord(guest.alias);
  if (left === undefined && guest.master !== bridge) {
    throw holdError('HOLD_NOT_ON_BRIDGE', `${tap} is not a port of ${bridge}`);
  }
  if ((await findLink(readTapOf(tap))) !== undefined) {
    throw holdError('HOLD_STILL_HELD', `${tap} is held: ${readTapOf(tap)} exists`);
  }
  const plug = openPlug(options);
  try {
    if (left !== undefined) await rejoinBridge(tap, bridge, left);
  } catch (failure) {
    await plug.close({ output: 'held' });
    throw failure;
  }
  return new PlugHold(bridge, plug);
}

/** Implements `HoldBackend.restoreTap`. */
async function restoreTap(options: { tap: string; bridge: string }): Promise<void> {
  const tap = requireInterfaceName(options.tap);
  requireInterfaceName(options.bridge);
  try {
    native.net.removePlugHold({ tap, ifb: ifbOf(tap) });
  } catch (thrown) {
    throw holdErrorFrom(thrown, 'HOLD_COMMAND_FAILED', 'restore tap');
  }
}

export const plugBackend: HoldBackend = {
  name: 'plug',
  canLease: false,
  probe: probePlug,
  holdOutput,
  restoreTap,
};

class PlugHold implements OutputHold {
  readonly backend = 'plug';
  readonly tap: string;
  readonly boundary: NativeBoundary;
  #closing: Promise<void> | undefined;

  constructor(
    readonly bridge: string,
    private readonly plug: NativePlugHold,
  ) {
    this.tap = plug.tap;
    this.boundary = plug.boundary;
  }

  closeEpoch(epoch: number): void {
    this.#native('close epoch', () => this.plug.closeEpoch(epoch));
  }

  async release(committed: CommittedEpoch): Promise<number> {
    try {
      return await this.plug.release(committed);
    } catch (thrown) {
      throw holdErrorFrom(thrown, 'HOLD_CLOSED', 'release');
    }
  }

  dropAll(): number {
    return this.#native('drop', () => this.plug.dropAll());
  }

  setPassing(passing: boolean): void {
    this.#native('pass', () => this.plug.setPassing(passing));
  }

  passUntil(): void {
    throw holdError('HOLD_NO_LEASE', `the plug of ${this.tap} has no clock`, { operation: 'pass' });
  }

  stats(): HoldStats {
    return this.#native('stats', () => this.plug.stats());
  }

  addresses(): LearnedAddress[] {
    return this.#native('addresses', () => this.plug.addresses());
  }

  close({ release }: { release: boolean }): Promise<void> {
    this.#closing ??= this.#close(release).catch((thrown: unknown) => {
      this.#closing = undefined;
      throw holdErrorFrom(thrown, 'HOLD_COMMAND_FAILED', 'end of the hold');
    });
    return this.#closing;
  }

  async #close(release: boolean): Promise<void> {
    await this.plug.close({ output: release ? 'release' : 'drop' });
  }

  #native<T>(operation: string, call: () => T): T {
    try {
      return call();
    } catch (thrown) {
      throw holdErrorFrom(thrown, 'HOLD_COMMAND_FAILED', operation);
    }
  }
}

function openPlug(options: HoldOptions): NativePlugHold {
  try {
    return native.net.openPlugHold({
      tap: options.tap,
      ifb: ifbOf(options.tap),
      epoch: options.epoch,
      limitPackets: options.limitPackets ?? HELD_PACKETS_MAX,
      limitBytes: options.limitBytes ?? HELD_BYTES_MAX,
      onWaiting: options.onWaiting,
      onFilling: options.onFilling,
      onTrouble: options.onTrouble,
    });
  } catch (thrown) {
    throw holdErrorFrom(thrown, 'HOLD_OPEN_FAILED', 'hold output');
  }
}

/** A dead `holder` took the tap off its bridge; its output goes to the plug by now. */
async function rejoinBridge(tap: string, bridge: string, record: PortRecord): Promise<void> {
  const port = { tap, bridge, readTap: readTapOf(tap), bridgeTap: bridgeTapOf(tap) };
  await joinPort(port, record);
  await forgetHold(port, record, { macs: [], groups: [] });
}
