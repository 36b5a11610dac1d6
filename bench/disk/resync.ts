/**
 * What travels after an outage over what the guest changed meanwhile: the backup loses power, the guest writes blocks of
 * 4 KiB at random places, the backup is back. What changed is counted on the disk’s file itself.
 */
import { copyFile, rm } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { DomainStatus } from '../../src/agent/status.js';
import type { HostPair } from '../../src/lab/host-pair.js';
import { benchError } from '../errors.js';
import { type BenchRun, type Row, row } from '../harness.js';
import { OUTAGE_TIMEOUT_MS, RESYNC_BYTES_RATIO_MAX } from '../limits.js';
import { changedBytes } from './changed.js';
import { LoadedGuest } from './loaded-guest.js';

const DOMAIN = 'resync';
const DISK_MIB = 256;
/** Seconds of writing in each outage: more and more of the disk, and more blocks that are written twice. */
const OUTAGES_S = [1, 2, 4];
const OUTAGES_QUICK_S = [1];
/** The load writes thousands of times in it. */
const QUIET_MS = 300;
const MB = 1e6;

interface Outage {
  changedBytes: number;
  sentBytes: number;
  how: string;
}

export async function resyncRows(pair: HostPair, run: BenchRun): Promise<Row[]> {
  const guest = await LoadedGuest.start(pair.lab, {
    ...{ name: DOMAIN, diskMib: DISK_MIB, loadMib: DISK_MIB },
  });
  const outages: Outage[] = [];
  try {
    await guest.load('seqwrite', 1);
    await pair.protect(DOMAIN);
    for (const seconds of run.quick ? OUTAGES_QUICK_S : OUTAGES_S) {
      run.say(`resync: an outage with ${seconds} s of writing`);
      outages.push(await outage(pair, guest, seconds));
    }
  } finally {
    // Guest and agents end with the laboratory.
    await guest.close();
  }
  return rowsOf(outages, run);
}

async function outage(pair: HostPair, guest: LoadedGuest, seconds: number): Promise<Outage> {
  const before = `${guest.diskPath}.before`;
  await pair.lab.killHost('b');
  await until(pair, ({ mirror }) => mirror?.state === 'remembering');
  await copyFile(guest.diskPath, before);
  try {
    // Its answer is held with all of the guest’s output and comes when the backup is back.
    const loaded = guest.load('randwrite', seconds);
    loaded.catch(() => undefined);
    await delay(seconds * 1000);
    await untilQuiet(pair);
    const changed = await changedBytes(before, guest.diskPath);
    await pair.bootHost('b');
    await loaded;
    const { mirror } = await until(pair, ({ state }) => state === 'protected');
    const sent = mirror?.shippedBytes ?? 0;
    if (mirror === undefined || changed === 0 || sent < changed) {
      const message = `${changed} bytes changed and ${sent} bytes were sent`;
      throw benchError('BENCH_NOTHING_MEASURED', message);
    }
    return { changedBytes: changed, sentBytes: sent, how: mirror.how };
  } finally {
    await rm(before);
  }
}

/** Until the guest’s writes have all been remembered: some, and no more for a while. @throws BENCH_GUEST_NOT_SETTLED */
async function untilQuiet(pair: HostPair): Promise<void> {
  const deadlineMs = performance.now() + OUTAGE_TIMEOUT_MS;
  let lookedAt = 0;
  for (;;) {
    const wrote = ({ mirror }: DomainStatus): boolean => (mirror?.rememberedBytes ?? 0) > 0;
    const { mirror } = await until(pair, wrote);
    const remembered = mirror?.rememberedBytes ?? 0;
    if (remembered === lookedAt) return;
    if (performance.now() > deadlineMs) {
      throw benchError('BENCH_GUEST_NOT_SETTLED', 'the guest does not stop writing');
    }
    lookedAt = remembered;
    await delay(QUIET_MS);
  }
}

function until(pair: HostPair, wanted: (status: DomainStatus) => boolean): Promise<DomainStatus> {
  return pair.waitFor('a', DOMAIN, wanted, OUTAGE_TIMEOUT_MS);
}

function rowsOf(outages: readonly Outage[], run: BenchRun): Row[] {
  const changed = outages.map(({ changedBytes }) => changedBytes / MB);
  run.table({
    name: 'disk-resync',
    title: `What travels when the backup is back (${outages.map(({ how }) => how).join(', ')})`,
    kind: 'bars',
    x: { label: 'changed, MB', values: changed.map((one) => one.toFixed(1)) },
    y: 'MB',
    series: [
      { name: 'sent', values: outages.map(({ sentBytes }) => sentBytes / MB) },
      { name: 'changed meanwhile', values: changed, reference: true },
      {
        name: 'limit',
        values: changed.map((one) => one * RESYNC_BYTES_RATIO_MAX),
        reference: true,
      },
    ],
  });
  return [
    row({
      name: 'resync_bytes_ratio',
      value: Math.max(...outages.map((one) => one.sentBytes / one.changedBytes)),
      unit: 'x',
      floor: 1,
      limit: RESYNC_BYTES_RATIO_MAX,
    }),
  ];
}
