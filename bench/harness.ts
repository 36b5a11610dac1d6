/**
 * What every benchmark has in common: a row with its floor and limit, a table behind it, and the one
 * line of JSON that a program reads. Pure.
 *
 * A benchmark is a file `bench/NAME.ts` that exports `rows(run)` and is listed in main.ts.
 */
import { benchError } from './errors.js';

/** One figure, measured in this run. */
export interface Row {
  name: string;
  value: number;
  unit: string;
  /** The best that is physically possible here, in the same unit, measured in the same run. */
  floor: number;
  limit: number;
  ok: boolean;
}

/** Figures behind a row, by `x`: printed for people and drawn as one plot. */
export interface Table {
  /** File name of its plot. */
  name: string;
  title: string;
  kind: 'bars' | 'stacked' | 'lines';
  x: { label: string; values: readonly (string | number)[] };
  /** Label with unit. */
  y: string;
  /** For values that differ by powers of ten (default linear). */
  yScale?: 'linear' | 'log';
  series: readonly Series[];
}

export interface Series {
  name: string;
  values: readonly number[];
  /** A floor or limit: drawn as a dashed line over the measured series. */
  reference?: boolean;
}

/** What a benchmark is given. */
export interface BenchRun {
  /** Fewer samples, for whoever works on the code: not for figures that are kept. */
  quick: boolean;
  /** Whether this part was asked for. */
  wants(part: string): boolean;
  /** Progress, for people. */
  say(text: string): void;
  table(table: Table): void;
}

export type Bench = (run: BenchRun) => Promise<Row[]>;

export interface RowParts {
  name: string;
  value: number;
  unit: string;
  floor: number;
  limit: number;
  /** Whether the value must be at most (default) or at least the limit. */
  limitIs?: 'atMost' | 'atLeast';
}

/** A value that is not a number is never ok. */
export function row({ limitIs = 'atMost', ...parts }: RowParts): Row {
  const ok = limitIs === 'atMost' ? parts.value <= parts.limit : parts.value >= parts.limit;
  return { ...parts, ok };
}

/** The middle value, or the mean of the middle two. @throws BENCH_NOTHING_MEASURED */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[sorted.length >> 1];
  if (upper === undefined)
    throw benchError('BENCH_NOTHING_MEASURED', 'no sample to take a median of');
  const lower = sorted[(sorted.length - 1) >> 1] ?? upper;
  return (lower + upper) / 2;
}

/** The median of one fact of many samples. */
export function medianOf<T>(samples: readonly T[], fact: (sample: T) => number): number {
  return median(samples.map(fact));
}

/** The contract: `{"bench":NAME,"rows":[…]}` in one line, three significant decimals. */
export function contractLine(bench: string, rows: readonly Row[]): string {
  const rounded = rows.map((one) => ({
    ...one,
    value: toThousandth(one.value),
    floor: toThousandth(one.floor),
  }));
  return JSON.stringify({ bench, rows: rounded });
}

const toThousandth = (value: number): number => Math.round(value * 1000) / 1000;
