/**
 * libvirt's errors in this project's terms: `LIBVIRT_…`, each with its meaning and remedy.
 * The native binding throws Errors with `libvirtCode` (virErrorNumber) and `libvirtDomain`
 * (virErrorDomain), both from libvirt's virterror.h.
 */
import { type ErrorContext, errorsOf, messageOf, type UnderstudyError } from '../errors.js';

export const libvirtErrors = {
  LIBVIRT_CONNECT_FAILED: {
    meaning: 'libvirt could not be reached, or refused the connection.',
    remedy:
      'Check that libvirtd (or virtqemud) runs, that the URI is right (virsh -c URI version) and that the user may connect.',
  },
  LIBVIRT_CONNECTION_LOST: {
    meaning: 'libvirt went away or stopped answering while it was in use.',
    remedy: 'See why in the log of libvirtd (or virtqemud); the domain itself may still run.',
  },
  LIBVIRT_CLOSED: {
    meaning: 'A call was made on a connection that understudy had closed already.',
    remedy: 'Start the session again; when it happens twice, report it.',
  },
  LIBVIRT_NO_DOMAIN: {
    meaning: 'libvirt knows no domain of that name or UUID.',
    remedy: 'List the domains with virsh list --all; a transient domain is gone once it stops.',
  },
  LIBVIRT_DOMAIN_EXISTS: {
    meaning: 'A domain of that name or UUID exists already.',
    remedy: 'Undefine or rename the other one (virsh undefine, virsh domrename).',
  },
  LIBVIRT_WRONG_STATE: {
    meaning: 'The domain is in a state in which libvirt does not do this.',
    remedy: 'Look at its state (virsh domstate --reason) and at running jobs (virsh domjobinfo).',
  },
  LIBVIRT_XML_REFUSED: {
    meaning: 'libvirt does not accept a domain description, or this host cannot run it.',
    remedy:
      "Read the message; both hosts need the same machine types, devices and networks in the domain's XML.",
  },
  LIBVIRT_UNSUPPORTED: {
    meaning: 'This libvirt, or its hypervisor driver, does not offer the operation.',
    remedy: 'Use a qemu:///system URI and a libvirt of a supported version.',
  },
  LIBVIRT_DENIED: {
    meaning: 'libvirt did not allow the operation.',
    remedy: 'Run understudy as root, or give its user the right in polkit or libvirtd.conf.',
  },
  LIBVIRT_BUSY: {
    meaning: 'Another operation or another user holds what is needed.',
    remedy: 'Wait for it or end it: virsh domjobinfo, virsh blockjob, lsof of the disk.',
  },
  LIBVIRT_TIMED_OUT: {
    meaning: 'libvirt waited in vain, mostly for another job on the same domain.',
    remedy: 'See which job holds the domain (virsh domjobinfo) and whether QEMU answers.',
  },
  LIBVIRT_OPERATION_FAILED: {
    meaning: 'libvirt or QEMU tried and failed.',
    remedy: "Read the message and the domain's log under /var/log/libvirt/qemu.",
  },
} as const;

export type LibvirtErrorCode = keyof typeof libvirtErrors;

const raise = errorsOf(libvirtErrors);

/** virErrorNumber → what it is to us; everything else is LIBVIRT_OPERATION_FAILED. */
const BY_NUMBER: ReadonlyMap<number, LibvirtErrorCode> = new Map([
  [3, 'LIBVIRT_UNSUPPORTED'], // NO_SUPPORT
  [5, 'LIBVIRT_CONNECT_FAILED'], // NO_CONNECT
  [20, 'LIBVIRT_XML_REFUSED'], // NO_TARGET
  [21, 'LIBVIRT_XML_REFUSED'], // NO_NAME
  [22, 'LIBVIRT_XML_REFUSED'], // NO_OS
  [27, 'LIBVIRT_XML_REFUSED'], // XML_ERROR
  [28, 'LIBVIRT_DOMAIN_EXISTS'], // DOM_EXIST
  [29, 'LIBVIRT_DENIED'], // OPERATION_DENIED
  [35, 'LIBVIRT_XML_REFUSED'], // XML_DETAIL
  [42, 'LIBVIRT_NO_DOMAIN'], // NO_DOMAIN
  [45, 'LIBVIRT_DENIED'], // AUTH_FAILED
  [55, 'LIBVIRT_WRONG_STATE'], // OPERATION_INVALID
  [67, 'LIBVIRT_XML_REFUSED'], // CONFIG_UNSUPPORTED
  [68, 'LIBVIRT_TIMED_OUT'], // OPERATION_TIMEOUT
  [74, 'LIBVIRT_UNSUPPORTED'], // ARGUMENT_UNSUPPORTED
  [79, 'LIBVIRT_DENIED'], // AUTH_CANCELLED
  [84, 'LIBVIRT_UNSUPPORTED'], // OPERATION_UNSUPPORTED
  [87, 'LIBVIRT_BUSY'], // RESOURCE_BUSY
  [88, 'LIBVIRT_DENIED'], // ACCESS_DENIED
  [91, 'LIBVIRT_XML_REFUSED'], // CPU_INCOMPATIBLE
  [92, 'LIBVIRT_XML_REFUSED'], // XML_INVALID_SCHEMA
  [94, 'LIBVIRT_DENIED'], // AUTH_UNAVAILABLE
]);

/** virErrorDomain VIR_FROM_RPC: the transport failed, whatever the number says. */
const FROM_RPC = 7;
/** The transport's own refusals, which are not losses. */
const RPC_EXCEPTIONS: ReadonlySet<LibvirtErrorCode> = new Set(['LIBVIRT_DENIED']);
/** VIR_ERR_OPERATION_FAILED: what the daemon answers to a second domain of the same name. */
const OPERATION_FAILED = 9;

/** Types whatever a native libvirt call threw; `operation` is what was being done. */
export function libvirtError(
  error: unknown,
  operation: string,
  domain?: string | undefined,
): UnderstudyError {
  const number = numberIn(error, 'libvirtCode');
  const origin = numberIn(error, 'libvirtDomain');
  const code = codeOf(error, number, origin);
  const context: ErrorContext = {
    operation,
    cause: error,
    ...(domain === undefined ? {} : { domain }),
    ...(number === undefined ? {} : { facts: { libvirtCode: number, libvirtDomain: origin ?? 0 } }),
  };
  return raise(code, `${operation}: ${messageOf(error)}`, context);
}

function codeOf(
  error: unknown,
  number: number | undefined,
  origin: number | undefined,
): LibvirtErrorCode {
  if (number === undefined) {
    const closed = error instanceof Error && 'code' in error && error.code === 'CLOSED';
    return closed ? 'LIBVIRT_CLOSED' : 'LIBVIRT_OPERATION_FAILED';
  }
  const mapped = BY_NUMBER.get(number);
  if (origin === FROM_RPC && (mapped === undefined || !RPC_EXCEPTIONS.has(mapped))) {
    return messageOf(error).startsWith('virConnectOpen:')
      ? 'LIBVIRT_CONNECT_FAILED'
      : 'LIBVIRT_CONNECTION_LOST';
  }
  if (
    number === OPERATION_FAILED &&
    /already exists with uuid|is already defined/.test(messageOf(error))
  ) {
    return 'LIBVIRT_DOMAIN_EXISTS';
  }
  return mapped ?? 'LIBVIRT_OPERATION_FAILED';
}

function numberIn(error: unknown, key: 'libvirtCode' | 'libvirtDomain'): number | undefined {
  const value: unknown = error instanceof Error ? Reflect.get(error, key) : undefined;
  return typeof value === 'number' ? value : undefined;
}
