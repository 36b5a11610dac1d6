/**
 * What a mirror costs a guest that writes: one guest and disk, by turns mirrored to us, to nbdkit’s memory plugin, and
 * not at all. A machine that becomes slower meanwhile becomes slower for all three.
 */
import type { Lab } from '../../src/lab/lab.js';
import type { BenchRun, Row } from '../harness.js';
import { LOADS, loadFigures, type Samples, SIDES, type Side } from './load-figures.js';
import { LoadedGuest } from './loaded-guest.js';
import { withNbdkit } from './nbdkit.js';
import { withOurs } from './our-target.js';
import { SinkProgram } from './sink.js';
import { inTurns } from './turns.js';

const DISK_MIB = 256;
/** A part, so that little has to be copied when a mirror starts. */
const LOAD_MIB = 128;
/** Many short rounds: other work on the machine comes and goes, and a round’s turns must lie close together. */
const ROUNDS = 9;
const ROUNDS_QUICK = 2;
const SECONDS_PER_LOAD = 1;

export async function loadRows(lab: Lab, run: BenchRun): Promise<Row[]> {
  const loads = LOADS.filter(({ part }) => run.wants(part));
  const guest = await LoadedGuest.start(lab, {
    name: 'load',
    diskMib: DISK_MIB,
    loadMib: LOAD_MIB,
  });
  const sinks = await SinkProgram.build();
  const mirroredTo: Record<Side, (measure: () => Promise<void>) => Promise<void>> = {
    unmirrored: (measure) => measure(),
    nbdkit: (measure) => withNbdkit(lab, guest, measure),
    ours: (measure) => withOurs(lab, guest, sinks, measure),
  };
  const samples: Samples = { unmirrored: [], nbdkit: [], ours: [] };
  const rounds = run.quick ? ROUNDS_QUICK : ROUNDS;
  try {
    // The file grows in its first turn, which would be a cost of whoever comes first.
    await guest.load('seqwrite', 1);
    for (let round = 0; round < rounds; round += 1) {
      run.say(`load: round ${round + 1} of ${rounds}`);
      for (const side of inTurns(SIDES, round)) {
        const reports: Samples[Side][number] = {};
        await mirroredTo[side](async () => {
          for (const { mode } of loads) reports[mode] = await guest.load(mode, SECONDS_PER_LOAD);
        });
        samples[side].push(reports);
      }
    }
    await guest.destroy();
  } finally {
    await guest.close();
    await sinks.remove();
  }
  return loads.map((load) => {
    const { table, row } = loadFigures(load, samples);
    run.table(table);
    return row;
  });
}
