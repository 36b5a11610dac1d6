/** What can go wrong with the output hold; each code is stable and documented here. */
import { errorsOf, messageOf, UnderstudyError } from '../errors.js';

export const holdErrors = {
  HOLD_BAD_NAME: {
    meaning: 'A network interface name is not one that the kernel and our commands accept.',
    remedy: 'Use a name of at most 15 letters, digits, dots, dashes and underscores.',
  },
  HOLD_NO_INTERFACE: {
    meaning: 'The network interface does not exist in this network namespace.',
    remedy: 'Check that the domain runs and that its interface is of type bridge or network.',
  },
  HOLD_NOT_ON_BRIDGE: {
    meaning: "The guest's tap is not a port of the bridge it was said to be on.",
    remedy: 'Compare `ip link show` with the domain definition; attach the tap to its bridge.',
  },
  HOLD_TAP_DOWN: {
    meaning: "The guest's tap is down, so the guest has no network to protect.",
    remedy: 'Bring the interface up (`virsh domif-setlink`), or check why libvirt left it down.',
  },
  HOLD_TAP_BUSY: {
    meaning:
      'The tap has traffic filters of somebody else at the place where output must be caught.',
    remedy: 'Remove the ingress filters of preference 1 and 2 from the tap (`tc filter show`).',
  },
  HOLD_STILL_HELD: {
    meaning: 'A live process holds the output of this tap.',
    remedy: 'Unprotect the domain, or end the session that holds it, and try again.',
  },
  HOLD_NEVER_FORWARDING: {
    meaning: 'The bridge did not let the new port forward within its own forward delays.',
    remedy: 'Check spanning tree on the bridge; a forward delay of a few seconds is enough.',
  },
  HOLD_RECORD_TOO_LONG: {
    meaning:
      'The settings of the bridge port do not fit in the interface alias where they are kept for a crash.',
    remedy: 'Shorten the alias of the tap, or give the port fewer separate VLAN ranges.',
  },
  HOLD_COMMAND_FAILED: {
    meaning: 'ip, tc or bridge refused a change of the network layout.',
    remedy: 'Read the message; check iproute2, root rights and the kernel options it names.',
  },
  HOLD_COMMAND_TIMEOUT: {
    meaning: 'ip, tc or bridge did not end in time and was killed.',
    remedy: 'Look for a stuck kernel task (`dmesg`), then try again.',
  },
  HOLD_COMMAND_UNREADABLE: {
    meaning: 'ip, tc or bridge answered something that is not the JSON we know.',
    remedy: 'Install iproute2 5.10 or newer.',
  },
  HOLD_OPEN_FAILED: {
    meaning: 'The interfaces of the output hold could not be made.',
    remedy: 'Check that /dev/net/tun exists and that the process is root in this namespace.',
  },
  HOLD_UNAVAILABLE: {
    meaning: 'This kernel cannot hold output: a part of it is missing.',
    remedy:
      'Load tun, sch_ingress, act_mirred and cls_u32 (or cls_matchall), for `plug` also ifb and sch_plug, then check again.',
  },
  HOLD_NO_LEASE: {
    meaning: 'This way of holding output cannot let packets pass for a limited time.',
    remedy: 'Use the `holder` backend where output must pass on a lease (consistency `timeline`).',
  },
  HOLD_LOST: {
    meaning:
      'Somebody keeps taking the output hold away, or the kernel refuses to put it back; nothing is released any more.',
    remedy:
      "Find out what changes the tap's traffic control (the message says what), stop it, set the tap up again and protect the domain again.",
  },
  HOLD_EPOCH_OPEN: {
    meaning: 'Somebody asked to release an epoch that has not been closed by a checkpoint.',
    remedy: 'This is a bug: report it. The output stays held.',
  },
  HOLD_CLOSED: {
    meaning: 'The output hold was used after it was closed.',
    remedy: 'This is a bug when it appears outside of an ending session: report it.',
  },
  HOLD_BAD_ANNOUNCEMENT: {
    meaning: 'The MAC or an address to announce is not valid.',
    remedy: 'Check the MAC in the domain definition.',
  },
  HOLD_ANNOUNCE_FAILED: {
    meaning: 'The guest could not be announced on a port of its bridge.',
    remedy: 'The guest is reachable once it sends by itself; check the port that is named.',
  },
} as const;

export const holdError = errorsOf(holdErrors);

export type HoldErrorCode = keyof typeof holdErrors;

const isHoldErrorCode = (code: unknown): code is HoldErrorCode =>
  typeof code === 'string' && Object.hasOwn(holdErrors, code);

/** Gives what the addon threw its code and remedy; codes that are not ours become `fallback`. */
export function holdErrorFrom(
  thrown: unknown,
  fallback: HoldErrorCode,
  operation: string,
): UnderstudyError {
  if (thrown instanceof UnderstudyError) return thrown;
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
  return holdError(isHoldErrorCode(code) ? code : fallback, messageOf(thrown), {
    operation,
    cause: thrown,
  });
}
