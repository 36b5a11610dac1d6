/**
 * Our target as a session has it while it protects: the log’s parts are digested and shipped over TCP as they come,
 * an epoch closes at the default pace and is committed once all of it is sent. What differs from production: the
 * guest is not paused at a boundary (nbdkit’s is not either), and the backup throws everything away.
 */
import { constants, setPriority } from 'node:os';
import { SESSION_NICENESS } from '../../src/agent/limits.js';
import {
  FREEZE_MS_MAX,
  LOG_MEMORY_BYTES_MAX,
  LOG_SPILL_BYTES_MAX,
  REMEMBER_BYTES_MAX,
} from '../../src/diskmirror/limits.js';
import { LogShipper } from '../../src/diskmirror/log-shipper.js';
import type { Lab } from '../../src/lab/lab.js';
import { type NativeMirrorTarget, native } from '../../src/native.js';
import { benchError } from '../errors.js';
import { REAL_DISK_DIRECTORY } from '../limits.js';
import { whileClosing } from './epochs.js';
import { DISK, type LoadedGuest } from './loaded-guest.js';
import type { Sink, SinkProgram } from './sink.js';

/** Runs `measure` while the disk is copied to a target of ours. @throws BENCH_NOTHING_MEASURED */
export async function withOurs<T>(
  lab: Lab,
  guest: LoadedGuest,
  sinks: SinkProgram,
  measure: () => Promise<T>,
): Promise<T> {
  // Threads inherit the priority of the thread that makes them: set before opening.
  setPriority(SESSION_NICENESS);
  const sink = await sinks.start();
  try {
    return await shipping(lab, guest, sink, measure);
  } finally {
    await sink.close();
    setPriority(constants.priority.PRIORITY_NORMAL);
  }
}

async function shipping<T>(
  lab: Lab,
  guest: LoadedGuest,
  sink: Sink,
  measure: () => Promise<T>,
): Promise<T> {
  const troubles: string[] = [];
  const socketPath = `${lab.host('a').runDir}/run/mirror.sock`;
  const target = await native.disks.openMirrorTarget({
    socketPath,
    ownerUid: 0,
    disks: [{ name: DISK, bytes: guest.diskBytes }],
    memoryBytesMax: LOG_MEMORY_BYTES_MAX,
    spillDirectory: REAL_DISK_DIRECTORY,
    spillBytesMax: LOG_SPILL_BYTES_MAX,
    rememberBytesMax: REMEMBER_BYTES_MAX,
    freezeMsMax: FREEZE_MS_MAX,
    onTrouble: ({ kind, reason }) => troubles.push(`${kind}: ${reason}`),
  });
  try {
    target.ship(1);
    const newHasher = () => native.memory.hasher();
    const shipper = new LogShipper(target, sink.channel, { term: 1, newHasher });
    const shipped = shipper.run();
    // Met below; a failure that comes first also rejects what waits for an epoch.
    shipped.catch(() => undefined);
    const onClosed = async (epoch: number): Promise<void> => {
      await shipper.closed(epoch);
      target.committed(epoch);
    };
    const { boundary } = target;
    const complete = (): void => target.complete();
    const measured = await guest.mirrored(socketPath, complete, async () => {
      const found = await whileClosing(guest, { boundary, firstEpoch: 1, onClosed }, measure);
      demandWhole(target, troubles);
      return found;
    });
    target.forget();
    await shipped;
    return measured;
  } finally {
    await target.close();
  }
}

/** @throws BENCH_NOTHING_MEASURED */
function demandWhole(target: NativeMirrorTarget, troubles: readonly string[]): void {
  const { disks, spilledBytes, backPressureCount } = target.stats();
  if (troubles.length === 0 && disks.every(({ unbroken }) => unbroken)) return;
  const how = `${spilledBytes} bytes spilled, writes waited ${backPressureCount} times`;
  throw benchError('BENCH_NOTHING_MEASURED', `our target: ${troubles.join('; ')} (${how})`);
}
