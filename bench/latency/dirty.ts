/** Round trips to a guest that writes much memory meanwhile: pauses are longer and checkpoints larger. */
import { inTurns } from '../disk/turns.js';
import type { BenchRun, Table } from '../harness.js';
import { GuestInModes } from './guest.js';
import { byMode, MODES, type Mode } from './modes.js';
import { percentile } from './percentile.js';
import type { Stage } from './stage.js';

const ROUNDS = 2;
const ROUNDS_QUICK = 1;
const PINGS = 25;
const PINGS_QUICK = 15;
/** 4 MB every 10 ms, 64 MB in all. */
const DIRTY = { dirty_mib: 64, dirty_pages: 1_000, dirty_period_ms: 10 };

export async function dirtyTable({ pair, client }: Stage, run: BenchRun): Promise<Table> {
  const rounds = run.quick ? ROUNDS_QUICK : ROUNDS;
  const guest = await GuestInModes.start(pair, { name: 'dirty', run: ['dirty'], options: DIRTY });
  const pings: Pings = byMode(() => []);
  for (let round = 0; round < rounds; round += 1) {
    for (const mode of inTurns(MODES, round)) {
      run.say(`latency, memory written meanwhile: round ${round + 1} of ${rounds}, ${mode}`);
      await guest.enter(mode);
      pings[mode].push(...(await client.ping(guest.record.ip, run.quick ? PINGS_QUICK : PINGS)));
    }
  }
  await guest.destroy();
  return tableOf(pings);
}

/** µs */
type Pings = Record<Mode, number[]>;

function tableOf(pings: Pings): Table {
  const ms = (part: number): number[] => MODES.map((mode) => percentile(pings[mode], part) / 1000);
  return {
    name: 'latency-dirty',
    title: 'Ping of a guest that writes 1,000 pages every 10 ms',
    kind: 'bars',
    x: { label: 'mode', values: MODES },
    y: 'ms',
    yScale: 'log',
    series: [
      { name: 'p50', values: ms(0.5) },
      { name: 'p99', values: ms(0.99) },
    ],
  };
}
