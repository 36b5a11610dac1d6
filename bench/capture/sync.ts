/**
 * How fast a guest’s whole memory reaches its backup, over what a plain socket carries between the
 * same two hosts. The three are measured in turns.
 *
 * Every page of the guest holds a stamp of its own, so none is left out as zero or as known; pages
 * are never compressed, so what else is in them does not matter.
 */
import type { HostPair } from '../../src/lab/host-pair.js';
import { consoleLine } from '../console.js';
import { benchError } from '../errors.js';
import { type BenchRun, median, type Row, row } from '../harness.js';
import { SYNC_OVER_LOOPBACK_MIN } from '../limits.js';
import { Loopback } from './loopback.js';

const DOMAIN = 'sync';
const MEMORY_MIB = 1024;
/** The rest is the guest’s kernel. */
const STAMPED_MIB = 832;
const ROUNDS = 5;
const ROUNDS_QUICK = 2;
/** QEMU gives 1 GiB back in well under a second. */
const STANDBY_END_TIMEOUT_MS = 20_000;
const GB = 1e9;

interface Speeds {
  /** Bytes per second. */
  sync: number;
  node: number;
  plain: number;
}

export async function syncRows(pair: HostPair, run: BenchRun): Promise<Row[]> {
  const guest = await pair.lab.startGuest({
    name: DOMAIN,
    memoryMib: MEMORY_MIB,
    run: ['memstamp'],
    options: { memstamp_mib: STAMPED_MIB, memstamp_writes: 0, memstamp_tick_ms: 1000 },
  });
  await consoleLine(guest.consolePath, /^memstamp: /m);
  const loopback = await Loopback.build(pair.lab);
  const speeds: Speeds[] = [];
  try {
    const rounds = run.quick ? ROUNDS_QUICK : ROUNDS;
    for (let round = 1; round <= rounds; round += 1) {
      run.say(`sync: round ${round} of ${rounds}`);
      const { bytes, bytesPerSecond } = await sync(pair);
      speeds.push({
        sync: bytesPerSecond,
        node: await loopback.nodeBytesPerSecond(bytes),
        plain: await loopback.plainBytesPerSecond(bytes),
      });
    }
  } finally {
    await loopback.remove();
    await pair.lab.host('a').virsh('destroy', DOMAIN);
  }
  return rowsOf(speeds, run);
}

async function sync(pair: HostPair): Promise<{ bytes: number; bytesPerSecond: number }> {
  const status = await pair.protect(DOMAIN);
  // By force: destroying a standby of this size takes longer than a heartbeat may be silent.
  await pair.agent('a').client.unprotect(DOMAIN, true);
  await pair.waitFor('b', DOMAIN, ({ state }) => state !== 'protected', STANDBY_END_TIMEOUT_MS);
  if (status.sync === undefined)
    throw benchError('BENCH_NOTHING_MEASURED', 'no sync in the status');
  return { bytes: status.sync.bytesShipped, bytesPerSecond: status.sync.bytesPerSecond };
}

function rowsOf(speeds: readonly Speeds[], run: BenchRun): Row[] {
  const fastest = speeds.map(({ node, plain }) => Math.max(node, plain));
  const inGb = (of: (one: Speeds) => number) => speeds.map((one) => of(one) / GB);
  run.table({
    name: 'capture-sync',
    title: `Sync of a ${MEMORY_MIB} MiB guest beside plain sockets`,
    kind: 'bars',
    x: { label: 'round', values: speeds.map((_, index) => index + 1) },
    y: 'speed, GB/s',
    series: [
      { name: 'sync', values: inGb((one) => one.sync) },
      { name: 'socket, two Node processes', values: inGb((one) => one.node) },
      { name: 'socket, two C processes', values: inGb((one) => one.plain) },
      {
        name: 'limit',
        values: fastest.map((speed) => (speed * SYNC_OVER_LOOPBACK_MIN) / GB),
        reference: true,
      },
    ],
  });
  return [
    row({
      name: 'sync_over_loopback',
      value: median(speeds.map(({ sync: speed }, index) => speed / (fastest[index] ?? Number.NaN))),
      unit: 'x',
      floor: 1,
      limit: SYNC_OVER_LOOPBACK_MIN,
      limitIs: 'atLeast',
    }),
  ];
}
