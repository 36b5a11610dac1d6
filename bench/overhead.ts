/** Benchmark `overhead`: what protection takes from the hosts, from a busy guest and from the network. */
import type { BenchRun, Row } from './harness.js';
import { GuestInModes } from './latency/guest.js';
import { onStage } from './latency/stage.js';
import { cpuBoundRows } from './overhead/cpu-bound.js';
import { holdRows } from './overhead/hold.js';
import { idleRows } from './overhead/idle.js';
import { throughputRows } from './overhead/throughput.js';

/** Of one guest, one after the other; idle last, when its boot is long over. */
const ON_STAGE = { throughput: throughputRows, cpu: cpuBoundRows, idle: idleRows };

export const parts = [...Object.keys(ON_STAGE), 'hold'];

export async function rows(run: BenchRun): Promise<Row[]> {
  const hold = run.wants('hold') ? await holdRows(run) : [];
  const measured: Row[] = [];
  const wanted = Object.entries(ON_STAGE).filter(([part]) => run.wants(part));
  if (wanted.length > 0) {
    await onStage(async (stage) => {
      const guest = await GuestInModes.start(stage.pair, {
        name: 'overhead',
        run: ['redis', 'spin'],
      });
      for (const [, measure] of wanted) measured.push(...(await measure(stage, guest, run)));
      await guest.destroy();
    });
  }
  return [...measured, ...hold.filter(({ name }) => name === 'hold_throughput_ratio')];
}
