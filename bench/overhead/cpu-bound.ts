/** What a program in the guest that needs the processor alone loses by protection, and the guest’s clock with it. */
import { inTurns } from '../disk/turns.js';
import { type BenchRun, median, type Row, row } from '../harness.js';
import type { SpinTook } from '../latency/client-lines.js';
import type { GuestInModes } from '../latency/guest.js';
import type { Stage } from '../latency/stage.js';
import { CPU_BOUND_LOSS_PERCENT_MAX } from '../limits.js';

const MODES = ['unprotected', 'adaptive'] as const;
type Mode = (typeof MODES)[number];
type Took = Record<Mode, SpinTook[]>;

const ROUNDS = 5;
const ROUNDS_QUICK = 2;
/** So much work as takes an unprotected guest about this long. */
const WORK_S = 3;
const TRIAL_ROUNDS = 50;

export async function cpuBoundRows(
  { client }: Stage,
  guest: GuestInModes,
  run: BenchRun,
): Promise<Row[]> {
  const { ip } = guest.record;
  await guest.enter('unprotected');
  const trial = await client.spin(ip, TRIAL_ROUNDS);
  const work = Math.ceil((TRIAL_ROUNDS * WORK_S) / trial.seconds);
  const took: Took = { unprotected: [], adaptive: [] };
  const rounds = run.quick ? ROUNDS_QUICK : ROUNDS;
  for (let round = 0; round < rounds; round += 1) {
    for (const mode of inTurns(MODES, round)) {
      run.say(`overhead: processor-bound work, round ${round + 1} of ${rounds}, ${mode}`);
      await guest.enter(mode);
      took[mode].push(await client.spin(ip, work));
    }
  }
  return figures(took, work, run);
}

function figures(took: Took, work: number, run: BenchRun): Row[] {
  const perSecond = (mode: Mode): number[] => took[mode].map(({ seconds }) => work / seconds);
  const plain = perSecond('unprotected');
  const adaptive = perSecond('adaptive');
  const behind = took.adaptive.map((one) => 100 * (1 - one.guestSeconds / one.seconds));
  run.say(`overhead: the guest’s clock falls behind by ${median(behind).toFixed(2)} % meanwhile`);
  run.table({
    name: 'overhead-cpu-bound',
    title: 'Work of a program that needs the processor alone',
    kind: 'bars',
    x: { label: 'round', values: plain.map((_, round) => round + 1) },
    y: 'million steps a second',
    series: [
      { name: 'unprotected', values: plain },
      { name: 'adaptive', values: adaptive },
    ],
  });
  return [
    row({
      name: 'cpu_bound_loss_percent',
      value: median(adaptive.map((one, round) => 100 * (1 - one / (plain[round] ?? Number.NaN)))),
      unit: '%',
      floor: 0,
      limit: CPU_BOUND_LOSS_PERCENT_MAX,
    }),
  ];
}
