/** What a protected guest that does nothing costs each host, beyond what runs there without protection. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Lab } from '../../src/lab/lab.js';
import { HOST_NAMES } from '../../src/lab/layout.js';
import type { BenchRun, Row } from '../harness.js';
import type { GuestInModes } from '../latency/guest.js';
import type { Stage } from '../latency/stage.js';
import { type CpuByKind, usedPercent } from './cpu-time-lines.js';
import { cpuTimes } from './cpu-times.js';
import { type IdleLooks, idleFigures } from './idle-figures.js';

const ROUNDS = 2;
const LOOK_S = 12;
const LOOK_QUICK_S = 6;
/** A session's first half minute is spent on compiling itself and on the rubbish of its start. */
const SETTLE_S = 30;

export async function idleRows(
  { pair: { lab } }: Stage,
  guest: GuestInModes,
  run: BenchRun,
): Promise<Row[]> {
  const looks: IdleLooks = { unprotected: [], adaptive: [] };
  for (let round = 0; round < (run.quick ? 1 : ROUNDS); round += 1) {
    for (const mode of ['unprotected', 'adaptive'] as const) {
      run.say(`overhead: idle and ${mode}, round ${round + 1}`);
      await guest.enter(mode);
      if (mode === 'adaptive') await delay(SETTLE_S * 1000);
      looks[mode].push(await look(lab, run.quick ? LOOK_QUICK_S : LOOK_S));
    }
  }
  const { rows, table } = idleFigures(looks);
  run.table(table);
  return rows;
}

async function look(lab: Lab, seconds: number): Promise<Record<'a' | 'b', CpuByKind>> {
  const all = () => Promise.all(HOST_NAMES.map((host) => cpuTimes(lab, host)));
  const fromMs = performance.now();
  const [beforeA, beforeB] = await all();
  await delay(seconds * 1000);
  const [afterA, afterB] = await all();
  const wallS = (performance.now() - fromMs) / 1000;
  return {
    a: usedPercent(beforeA ?? new Map(), afterA ?? new Map(), wallS),
    b: usedPercent(beforeB ?? new Map(), afterB ?? new Map(), wallS),
  };
}
