/**
 * What an output hold costs when everything is released: TCP bulk with GSO and the round trip of small
 * packets, from a guest through the hold to a client, over the same through the plain bridge.
 *
 * The guest is a namespace, its tap the outer end of a veth: frames come in there as large as a guest
 * with offloads sends them, and nothing that a guest or QEMU would cost hides what the hold costs. The
 * plain bridge copies nothing, so the comparison is harder than with a real guest.
 */
import { constants, setPriority } from 'node:os';
import { setInterval } from 'node:timers';
import { SESSION_NICENESS } from '../../src/agent/limits.js';
import { monotonicMs } from '../../src/clock.js';
import { HEARTBEAT_DEFAULT } from '../../src/failover/heartbeat.js';
import { Lease } from '../../src/failover/lease.js';
import { chooseBackend } from '../../src/netbuffer/backends.js';
import {
  committedEpoch,
  type HoldBackend,
  type OutputHold,
} from '../../src/netbuffer/output-hold.js';
import { inTurns } from '../disk/turns.js';
import { benchError } from '../errors.js';
import { type BenchRun, median, type Row, row } from '../harness.js';
import { HOLD_ADDED_US_MAX, HOLD_THROUGHPUT_RATIO_MIN } from '../limits.js';
import { HoldBridge } from './hold-bridge.js';

/**
 * plain: no hold. always: output passes on a lease that heartbeats renew, as under `timeline`. epochs: one closed and
 * released every EPOCH_MS.
 */
const WAYS = ['plain', 'always', 'epochs'] as const;
type Way = (typeof WAYS)[number];

interface Sample {
  bytesPerSecond: number;
  roundTripUs: number;
}
type Samples = Record<Way, Sample[]>;

const EPOCH_MS = 1;
const ROUNDS = 9;
const ROUNDS_QUICK = 3;
const BULK_SECONDS = 1;
const PINGS = 2_000;

export async function holdRows(run: BenchRun): Promise<Row[]> {
  const backend = await chooseBackend('auto', { lease: false });
  const bridge = await HoldBridge.make();
  const samples: Samples = { plain: [], always: [], epochs: [] };
  const rounds = run.quick ? ROUNDS_QUICK : ROUNDS;
  try {
    for (let round = 0; round < rounds; round += 1) {
      run.say(`hold (${backend.name}): round ${round + 1} of ${rounds}`);
      for (const way of inTurns(WAYS, round)) {
        samples[way].push(await inWay(way, backend, bridge, () => sampleOf(bridge)));
      }
    }
  } finally {
    await bridge.remove();
  }
  printTables(run, backend, samples);
  return [
    row({
      name: 'hold_throughput_ratio',
      value: overPlain(samples, 'always'),
      unit: 'x',
      floor: 1,
      limit: HOLD_THROUGHPUT_RATIO_MIN,
      limitIs: 'atLeast',
    }),
    row({
      name: 'hold_added_us',
      value: addedUs(samples, 'always'),
      unit: 'µs',
      floor: 0,
      limit: HOLD_ADDED_US_MAX,
    }),
  ];
}

/** A round's turns lie close together: what slows the machine down slows both sides of a ratio. */
const overPlain = ({ plain, ...held }: Samples, way: Exclude<Way, 'plain'>): number =>
  median(plain.map((one, round) => (held[way][round]?.bytesPerSecond ?? 0) / one.bytesPerSecond));

const addedUs = ({ plain, ...held }: Samples, way: Exclude<Way, 'plain'>): number =>
  median(
    plain.map((one, round) => (held[way][round]?.roundTripUs ?? Number.NaN) - one.roundTripUs),
  );

async function sampleOf(bridge: HoldBridge): Promise<Sample> {
  return {
    bytesPerSecond: await bridge.bulkBytesPerSecond(BULK_SECONDS),
    roundTripUs: await bridge.roundTripUs(PINGS),
  };
}

async function inWay<T>(
  way: Way,
  backend: HoldBackend,
  { tap, bridge }: HoldBridge,
  measure: () => Promise<T>,
): Promise<T> {
  if (way === 'plain') return measure();
  const troubles: string[] = [];
  const hold = await asInSession(() =>
    backend.holdOutput({
      tap,
      bridge,
      epoch: 1,
      onWaiting: () => undefined,
      onFilling: () => undefined,
      onTrouble: ({ reason }) => troubles.push(reason),
    }),
  );
  const stop = way === 'always' ? always(backend, hold) : epochs(hold);
  try {
    const measured = await measure();
    if (troubles.length > 0) throw benchError('BENCH_NOTHING_MEASURED', troubles.join('; '));
    return measured;
  } finally {
    await stop();
    await hold.close({ release: true });
  }
}

/** The hold's thread takes over what it is begun with, and goes before other work as it does in a session. */
async function asInSession<T>(begin: () => Promise<T>): Promise<T> {
  setPriority(SESSION_NICENESS);
  try {
    return await begin();
  } finally {
    setPriority(constants.priority.PRIORITY_NORMAL);
  }
}

function always({ canLease }: HoldBackend, hold: OutputHold): () => Promise<void> {
  if (!canLease) {
    hold.setPassing(true);
    return async () => undefined;
  }
  const lease = new Lease(HEARTBEAT_DEFAULT);
  const renew = () => {
    lease.heard(monotonicMs());
    hold.passUntil(lease.untilMs);
  };
  renew();
  const timer = setInterval(renew, HEARTBEAT_DEFAULT.intervalMs);
  return async () => clearInterval(timer);
}

function epochs(hold: OutputHold): () => Promise<void> {
  let epoch = 1;
  let released: Promise<number> = Promise.resolve(0);
  const timer = setInterval(() => {
    hold.closeEpoch(epoch);
    released = hold.release(committedEpoch(epoch));
    epoch += 1;
  }, EPOCH_MS);
  return async () => {
    clearInterval(timer);
    await released;
  };
}

function printTables(run: BenchRun, { name }: HoldBackend, samples: Samples): void {
  const x = { label: 'way', values: [...WAYS] };
  const medians = (fact: (sample: Sample) => number) =>
    WAYS.map((way) => median(samples[way].map(fact)));
  run.table({
    name: 'hold-throughput',
    title: `TCP bulk through the hold (${name}), passing on a lease and released each millisecond`,
    kind: 'bars',
    x,
    y: 'Gb/s',
    series: [{ name, values: medians(({ bytesPerSecond }) => (bytesPerSecond * 8) / 1e9) }],
  });
  run.table({
    name: 'hold-latency',
    title: `Round trip through the hold (${name}), passing on a lease and released each millisecond`,
    kind: 'bars',
    x,
    y: 'µs',
    series: [{ name, values: medians(({ roundTripUs }) => roundTripUs) }],
  });
}
