/** Benchmark `latency`: what a client of a protected guest waits, in every mode, and where that time goes. */
import type { BenchRun, Row } from './harness.js';
import { dirtyTable } from './latency/dirty.js';
import { latencyFigures } from './latency/figures.js';
import { onStage } from './latency/stage.js';
import { turnsOf } from './latency/turns.js';
import { holdRows } from './overhead/hold.js';

export const parts = ['modes', 'dirty', 'hold'] as const;

export async function rows(run: BenchRun): Promise<Row[]> {
  const hold = run.wants('hold') ? await holdRows(run) : [];
  const measured: Row[] = [];
  if (run.wants('modes') || run.wants('dirty')) {
    await onStage(async (stage) => {
      if (run.wants('modes')) {
        const { rows: ofModes, tables } = latencyFigures(await turnsOf(stage, run));
        for (const table of tables) run.table(table);
        measured.push(...ofModes);
      }
      if (run.wants('dirty')) run.table(await dirtyTable(stage, run));
    });
  }
  return [...measured, ...hold.filter(({ name }) => name === 'hold_added_us')];
}
