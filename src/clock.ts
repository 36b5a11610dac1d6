/**
 * CLOCK_MONOTONIC in milliseconds: comparable between processes of one host, unlike
 * performance.now(), which counts from each process's own start.
 */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** A moment of monotonicMs() for native code, ns: never an earlier one. */
export function notBeforeNs(momentMs: number): bigint {
  return BigInt(Math.max(0, Math.ceil(momentMs * 1e6)));
}

/** The same of a moment by which something must have ended: never a later one. */
export function notAfterNs(momentMs: number): bigint {
  return BigInt(Math.max(0, Math.floor(momentMs * 1e6)));
}
