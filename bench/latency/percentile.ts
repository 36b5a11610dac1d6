/** Percentiles of latencies. Pure. */
import { benchError } from '../errors.js';

/** Nearest rank; `part` from 0 to 1. @throws BENCH_NOTHING_MEASURED */
export function percentile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const found = sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)];
  if (found !== undefined) return found;
  throw benchError('BENCH_NOTHING_MEASURED', 'no sample to take a percentile of');
}
