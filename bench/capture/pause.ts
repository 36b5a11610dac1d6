/**
 * What a pause costs: with 2,000 dirty pages, of an idle guest, and of the gate alone.
 *
 * The three are measured in turns, block by block, so that a machine that becomes slower meanwhile
 * becomes slower for all of them. Guests whose turn it is not stand still.
 */
import type { Lab } from '../../src/lab/lab.js';
import { type NativeCapture, native } from '../../src/native.js';
import { BenchGuest } from '../guest.js';
import { type BenchRun, median, medianOf, type Row, row } from '../harness.js';
import { IDLE_PAUSE_OVER_GATE_MAX, PAUSE_OVER_MEMCPY_MAX } from '../limits.js';
import { MemcpyFloor } from './memcpy.js';

const PAGE_BYTES = 4096;
/** Goes round and round in barely more memory: every epoch longer than the period finds all of it dirty. */
const LOAD = { dirty_pages: 2000, dirty_mib: 8, dirty_period_ms: 10 };
const WARM_EPOCHS = 4;
const EPOCHS_PER_BLOCK = 20;
const MEMCPY_ROUNDS_PER_BLOCK = 20;

type Kind = 'gate' | 'idle' | 'dirty';
const KINDS: readonly Kind[] = ['gate', 'idle', 'dirty'];

interface Samples {
  captures: Record<Kind, NativeCapture[]>;
  memcpy: MemcpyFloor;
  hotMemcpyUs: number[];
}

export async function pauseRows(lab: Lab, run: BenchRun): Promise<Row[]> {
  const dirty = await BenchGuest.start(lab, { name: 'dirty', run: ['dirty'], options: LOAD });
  const idle = await BenchGuest.start(lab, { name: 'idle', run: [] });
  try {
    await Promise.all([dirty.suspend(), idle.suspend()]);
    const samples: Samples = {
      captures: { gate: [], idle: [], dirty: [] },
      memcpy: new MemcpyFloor(),
      hotMemcpyUs: [],
    };
    const blocks = run.quick ? 2 : 8;
    for (let block = 1; block <= blocks; block += 1) {
      run.say(`pause: block ${block} of ${blocks}`);
      for (const kind of KINDS) {
        const guest = kind === 'dirty' ? dirty : idle;
        samples.captures[kind].push(...(await measureBlock(guest, kind, samples.memcpy)));
      }
      samples.hotMemcpyUs.push(...(await measureHotMemcpy(samples)));
    }
    return rowsOf(samples, run);
  } finally {
    await Promise.all([dirty.destroy(), idle.destroy()]);
  }
}

async function measureBlock(
  guest: BenchGuest,
  kind: Kind,
  memcpy: MemcpyFloor,
): Promise<NativeCapture[]> {
  await guest.resume();
  try {
    return await guest.tracked(kind === 'gate' ? 'onePage' : 'ram', async (tracked) => {
      await tracked.epochs(WARM_EPOCHS, 'live');
      await tracked.epochs(WARM_EPOCHS, 'staged');
      const floor = ({ dirtyPages: pages }: NativeCapture): void => memcpy.sample(pages);
      return tracked.epochs(EPOCHS_PER_BLOCK, 'staged', kind === 'dirty' ? floor : undefined);
    });
  } finally {
    await guest.suspend();
  }
}

/** The same bytes between two buffers that stay in cache: how fast this processor can be at best. */
function measureHotMemcpy({ captures }: Samples): Promise<number[]> {
  const pages = medianOf(captures.dirty, dirtyPages) - medianOf(captures.idle, dirtyPages);
  const bytes = Math.round(pages) * PAGE_BYTES;
  return native.memory.measureMemcpy({ bytes, rounds: MEMCPY_ROUNDS_PER_BLOCK });
}

const dirtyPages = (capture: NativeCapture): number => capture.dirtyPages;
const pauseUs = (capture: NativeCapture): number => capture.pauseUs;

function rowsOf({ captures, memcpy: floor, hotMemcpyUs }: Samples, run: BenchRun): Row[] {
  const pause = (kind: Kind): number => medianOf(captures[kind], pauseUs);
  const memcpy = median(floor.samplesUs);
  const hot = median(hotMemcpyUs);
  const phase = (name: string, fact: (capture: NativeCapture) => number) => ({
    name,
    values: KINDS.map((kind) => medianOf(captures[kind], fact)),
  });
  const pages = Math.round(medianOf(captures.dirty, dirtyPages));
  const ranges = Math.round(medianOf(captures.dirty, (capture) => capture.dirtyRanges));
  run.table({
    name: 'capture-pause',
    title: `Guest pause by phase, medians of ${captures.dirty.length} epochs`,
    kind: 'stacked',
    x: {
      label: 'what is paused',
      values: ['gate alone', 'idle guest', `${pages} dirty pages in ${ranges} ranges`],
    },
    y: 'pause, µs',
    series: [
      phase('scan', (capture) => capture.scanUs),
      phase('copy', (capture) => capture.copyUs),
      phase('drain', (capture) => capture.drainUs),
      {
        name: 'gate + plain memcpy',
        values: [pause('gate'), pause('gate'), pause('gate') + memcpy],
        reference: true,
      },
      {
        name: 'gate + memcpy in cache',
        values: [pause('gate'), pause('gate'), pause('gate') + hot],
        reference: true,
      },
    ],
  });
  return [
    row({
      name: 'pause_over_memcpy',
      value: (pause('dirty') - pause('idle')) / memcpy,
      unit: 'x',
      floor: 1,
      limit: PAUSE_OVER_MEMCPY_MAX,
    }),
    row({
      name: 'idle_pause_over_gate',
      value: pause('idle') / pause('gate'),
      unit: 'x',
      floor: 1,
      limit: IDLE_PAUSE_OVER_GATE_MAX,
    }),
  ];
}
