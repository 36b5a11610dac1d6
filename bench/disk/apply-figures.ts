/** Row and table of the apply, from how long each transaction took. Pure. */
import { median, type Row, row, type Table } from '../harness.js';
import { APPLY_OVER_COPY_MIN } from '../limits.js';

export const WAYS = ['apply', 'copy', 'inPlace'] as const;
export type WayName = (typeof WAYS)[number];

export interface ShapeTimes {
  shape: string;
  /** Per transaction, the same for all ways. */
  timesMs: Record<WayName, number[]>;
}

/**
 * Ratios are taken within a transaction, whose turns lie close together, and then their median. Sequential writes
 * are compared with the copy. Scattered ones are not: the disk itself takes them many times slower, whoever writes;
 * their row compares with the same writes straight in place.
 */
export function applyFigures(
  { sequential, random }: Record<'sequential' | 'random', ShapeTimes>,
  transactionBytes: number,
): { rows: Row[]; table: Table } {
  const measured = [random, sequential];
  const speeds = (way: WayName): number[] =>
    measured.map(({ timesMs }) => transactionBytes / 1000 / median(timesMs[way]));
  const copies = speeds('copy');
  const table: Table = {
    name: 'disk-apply',
    title: `Transactions of ${transactionBytes / 1024 ** 2} MiB on the backup’s disk`,
    kind: 'bars',
    x: { label: 'writes', values: measured.map(({ shape }) => shape) },
    y: 'speed, MB/s',
    series: [
      { name: 'applied: journal, then in place', values: speeds('apply') },
      { name: 'straight in place, not atomic', values: speeds('inPlace') },
      { name: 'plain sequential copy', values: copies },
      { name: 'limit', values: copies.map((one) => one * APPLY_OVER_COPY_MIN), reference: true },
    ],
  };
  const atLeast = { unit: 'x', limit: APPLY_OVER_COPY_MIN, limitIs: 'atLeast' } as const;
  return {
    table,
    rows: [
      row({
        name: 'apply_over_copy',
        value: speedRatio(sequential.timesMs, 'apply', 'copy'),
        floor: speedRatio(sequential.timesMs, 'inPlace', 'copy'),
        ...atLeast,
      }),
      row({
        name: 'apply_random_over_in_place',
        value: speedRatio(random.timesMs, 'apply', 'inPlace'),
        floor: 1,
        ...atLeast,
      }),
    ],
  };
}

function speedRatio(timesMs: ShapeTimes['timesMs'], way: WayName, over: WayName): number {
  return median(timesMs[over].map((overMs, index) => overMs / (timesMs[way][index] ?? Number.NaN)));
}
