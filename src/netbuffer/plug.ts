/**
 * The `plug` backend: the guest's output waits in the kernel, in a plug qdisc that the tap's ingress is
 * redirected to (native/net/plug_path.h has the picture). The tap stays a port of its bridge. When the
 * process dies everything stays held: fail closed.
 */
import { type NativePlugHold, native } from '../native.js';
import { holdError, holdErrorFrom } from './errors.js';
import { bridgeTapOf, ifbOf, readTapOf, requireInterfaceName } from './interface-names.js';
import { HeldOutput, nativeOptions, tapToHold } from './native-hold.js';
import type { HoldBackend, HoldOptions, OutputHold } from './output-hold.js';
import type { PortRecord } from './port-record.js';
import { probePlug } from './probe.js';
import { forgetHold, joinPort } from './tap-layout.js';

/** Implements `HoldBackend.holdOutput`. Also takes over a tap whose former hold, of either kind, was killed. */
async function holdOutput(options: HoldOptions): Promise<OutputHold> {
  const tap = requireInterfaceName(options.tap);
  const bridge = requireInterfaceName(options.bridge);
  const { left } = await tapToHold(tap, bridge);
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

class PlugHold extends HeldOutput {
  constructor(
    bridge: string,
    private readonly plug: NativePlugHold,
  ) {
    super('plug', plug.tap, bridge, plug, 'HOLD_COMMAND_FAILED');
  }

  passUntil(): void {
    throw holdError('HOLD_NO_LEASE', `the plug of ${this.tap} has no clock`, { operation: 'pass' });
  }

  protected async end(release: boolean): Promise<void> {
    try {
      await this.plug.close({ output: release ? 'release' : 'drop' });
    } catch (thrown) {
      throw holdErrorFrom(thrown, 'HOLD_COMMAND_FAILED', 'end of the hold');
    }
  }
}

function openPlug(options: HoldOptions): NativePlugHold {
  try {
    return native.net.openPlugHold({ ...nativeOptions(options), ifb: ifbOf(options.tap) });
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
