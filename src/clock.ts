/**
 * CLOCK_MONOTONIC in milliseconds: comparable between processes of one host, unlike
 * performance.now(), which counts from each process's own start.
 */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
