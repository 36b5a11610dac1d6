/** Names of network interfaces: checked before they reach a command line, derived for our own. */
import { createHash } from 'node:crypto';
import { holdError } from './errors.js';
import { INTERFACE_NAME_CHARS_MAX } from './limits.js';

const namePattern = /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/;

/** Returns `name`; HOLD_BAD_NAME when a command could take it for something else. */
export function requireInterfaceName(name: string): string {
  if (name.length > INTERFACE_NAME_CHARS_MAX || !namePattern.test(name)) {
    throw holdError('HOLD_BAD_NAME', `not a usable interface name: ${JSON.stringify(name)}`);
  }
  return name;
}

/** The tap that receives the guest's output: `usr-vnet0`. */
export const readTapOf = (tap: string): string => derivedName('usr-', tap);

/** The tap that stands on the bridge in the guest's place: `usb-vnet0`. */
export const bridgeTapOf = (tap: string): string => derivedName('usb-', tap);

/** The IFB whose plug holds the guest's output: `usi-vnet0`. */
export const ifbOf = (tap: string): string => derivedName('usi-', tap);

/** A long name is shortened by a digest, so that two taps never share one. */
function derivedName(prefix: string, tap: string): string {
  const name = prefix + requireInterfaceName(tap);
  if (name.length <= INTERFACE_NAME_CHARS_MAX) return name;
  return prefix + createHash('sha256').update(tap).digest('hex').slice(0, 10);
}
