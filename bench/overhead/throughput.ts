/** How much Redis gets done for eight clients when checkpoints come as wanted, over one every 25 ms. */
import { inTurns } from '../disk/turns.js';
import { type BenchRun, median, type Row, row } from '../harness.js';
import type { GuestInModes } from '../latency/guest.js';
import type { Stage } from '../latency/stage.js';
import { ADAPTIVE_THROUGHPUT_OVER_FIXED25_MIN } from '../limits.js';

const MODES = ['unprotected', 'fixed25', 'adaptive'] as const;
type Mode = (typeof MODES)[number];

const ROUNDS = 5;
const ROUNDS_QUICK = 2;
const SECONDS = 3;
const CLIENTS = 8;

export async function throughputRows(
  { client }: Stage,
  guest: GuestInModes,
  run: BenchRun,
): Promise<Row[]> {
  const perSecond: Record<Mode, number[]> = { unprotected: [], fixed25: [], adaptive: [] };
  const rounds = run.quick ? ROUNDS_QUICK : ROUNDS;
  for (let round = 0; round < rounds; round += 1) {
    for (const mode of inTurns(MODES, round)) {
      run.say(`overhead: Redis with ${CLIENTS} clients, round ${round + 1} of ${rounds}, ${mode}`);
      await guest.enter(mode);
      perSecond[mode].push((await client.redis(guest.record.ip, CLIENTS, SECONDS)).perSecond);
    }
  }
  return figures(perSecond, run);
}

function figures(perSecond: Record<Mode, number[]>, run: BenchRun): Row[] {
  const { unprotected, fixed25, adaptive } = perSecond;
  run.table({
    name: 'overhead-redis8',
    title: `Redis, ${CLIENTS} clients`,
    kind: 'bars',
    x: { label: 'round', values: adaptive.map((_, round) => round + 1) },
    y: 'commands a second',
    yScale: 'log',
    series: MODES.map((mode) => ({ name: mode, values: perSecond[mode] })),
  });
  // Ratios are taken within a round, whose turns lie close together.
  const overFixed25 = (values: number[]): number =>
    median(values.map((value, round) => value / (fixed25[round] ?? Number.NaN)));
  return [
    row({
      name: 'redis8_adaptive_over_fixed25',
      value: overFixed25(adaptive),
      unit: 'x',
      floor: overFixed25(unprotected),
      limit: ADAPTIVE_THROUGHPUT_OVER_FIXED25_MIN,
      limitIs: 'atLeast',
    }),
  ];
}
