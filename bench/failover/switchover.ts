/** Planned: the guest stops, its last checkpoint is committed, the other host goes on. */
import { type BenchRun, medianOf, type Row, row } from '../harness.js';
import { SWITCHOVER_GAP_MS_MAX } from '../limits.js';
import type { Change, Wanderer } from './wanderer.js';

const SWITCHOVERS = 10;
const SWITCHOVERS_QUICK = 2;

export async function switchoverRows(wanderer: Wanderer, run: BenchRun): Promise<Row[]> {
  const changes: Change[] = [];
  const count = run.quick ? SWITCHOVERS_QUICK : SWITCHOVERS;
  for (let round = 1; round <= count; round += 1) {
    run.say(`switchover ${round} of ${count}, from host ${wanderer.at}`);
    const { pair, domain } = wanderer;
    const move = async (from: 'a' | 'b'): Promise<void> => {
      await pair.agent(from).client.switchover(domain);
    };
    changes.push(await wanderer.go(move, async () => undefined));
  }
  run.table({
    name: 'failover-switchover',
    title: 'Switchover: what a client waits',
    kind: 'bars',
    x: { label: 'switchover', values: changes.map((_, index) => index + 1) },
    y: 'time, ms',
    series: [
      { name: 'longest wait for an answer', values: changes.map(({ gapMs }) => gapMs) },
      { name: 'of it the takeover', values: changes.map(({ takeover }) => takeover.promoteMs) },
    ],
  });
  return [
    row({
      name: 'switchover_gap_ms',
      value: medianOf(changes, ({ gapMs }) => gapMs),
      unit: 'ms',
      floor: medianOf(changes, ({ takeover }) => takeover.promoteMs),
      limit: SWITCHOVER_GAP_MS_MAX,
    }),
  ];
}
