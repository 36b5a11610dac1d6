/** Rows and tables of the guest’s loads, from what its program reported. Pure. */
import type { DiskloadMode, DiskloadReport } from '../../src/lab/guest-reports.js';
import { median, type Row, row, type Table } from '../harness.js';
import { MIRRORED_LATENCY_RATIO_MAX, MIRRORED_THROUGHPUT_RATIO_MIN } from '../limits.js';

export const SIDES = ['ours', 'nbdkit', 'unmirrored'] as const;
export type Side = (typeof SIDES)[number];

/** Per side and round: what each load reported. */
export type Samples = Record<Side, Partial<Record<DiskloadMode, DiskloadReport>>[]>;

export interface Load {
  mode: DiskloadMode;
  part: 'latency' | 'throughput';
  row: string;
  title: string;
  y: string;
  fact: (report: DiskloadReport) => number;
  limit: number;
  limitIs: 'atMost' | 'atLeast';
}

const LATENCY = {
  part: 'latency',
  y: 'p50 of one write, µs',
  fact: ({ p50Us }: DiskloadReport): number => p50Us,
  limit: MIRRORED_LATENCY_RATIO_MAX,
  limitIs: 'atMost',
} as const;

const THROUGHPUT = {
  part: 'throughput',
  y: 'MB/s',
  fact: ({ megabytesPerSecond }: DiskloadReport): number => megabytesPerSecond,
  limit: MIRRORED_THROUGHPUT_RATIO_MIN,
  limitIs: 'atLeast',
} as const;

export const LOADS: readonly Load[] = [
  {
    ...LATENCY,
    mode: 'randwrite',
    row: 'odirect_latency_ratio',
    title: 'Random writes of 4 KiB, O_DIRECT, one at a time',
  },
  {
    ...LATENCY,
    mode: 'dsync',
    row: 'odsync_latency_ratio',
    title: 'Random writes of 4 KiB, O_DIRECT and O_DSYNC, one at a time',
  },
  {
    ...THROUGHPUT,
    mode: 'randwrite8',
    row: 'random_throughput_ratio',
    title: 'Random writes of 4 KiB, O_DIRECT, eight at a time',
  },
  {
    ...THROUGHPUT,
    mode: 'seqwrite',
    row: 'sequential_throughput_ratio',
    title: 'Sequential writes of 1 MiB, O_DIRECT',
  },
];

/** Ratios are taken within a round, whose turns lie close together, and then their median. */
export function loadFigures(load: Load, samples: Samples): { row: Row; table: Table } {
  const { mode, fact, limit, limitIs } = load;
  const values = (side: Side): number[] =>
    samples[side].map(({ [mode]: report }) => (report === undefined ? Number.NaN : fact(report)));
  const nbdkit = values('nbdkit');
  const overNbdkit = (side: Side): number =>
    median(values(side).map((value, round) => value / (nbdkit[round] ?? Number.NaN)));
  const table: Table = {
    name: `disk-${mode}`,
    title: load.title,
    kind: 'bars',
    x: { label: 'round', values: nbdkit.map((_, round) => round + 1) },
    y: load.y,
    series: [
      { name: 'mirrored to understudy', values: values('ours') },
      { name: 'mirrored to nbdkit memory', values: nbdkit },
      { name: 'not mirrored', values: values('unmirrored') },
      { name: 'limit', values: nbdkit.map((value) => value * limit), reference: true },
    ],
  };
  const value = overNbdkit('ours');
  const floor = overNbdkit('unmirrored');
  return { table, row: row({ name: load.row, value, unit: 'x', floor, limit, limitIs }) };
}
