/**
 * Closes epochs at a steady pace without pausing the guest: one page of its RAM is tracked, and a capture of that page
 * alone tells the boundary.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { ramMap } from '../../src/hypervisor/ram-map.js';
import { type NativeBoundary, type NativeGuestMemory, native } from '../../src/native.js';
import { CHUNK_BYTES_MAX } from '../../src/wire/limits.js';
import { DISK_EPOCH_MS } from '../limits.js';
import type { LoadedGuest } from './loaded-guest.js';

const PAGE_BYTES = 4096;
const STAGING_BYTES = 1024 * 1024;

export interface EpochsOptions {
  boundary: NativeBoundary;
  firstEpoch: number;
  /** After each epoch has closed; the next one closes only when it has resolved. */
  onClosed: (epoch: number) => Promise<void>;
}

/** Runs `measure` while epochs close; rejects with what made closing impossible. */
export async function whileClosing<T>(
  guest: LoadedGuest,
  options: EpochsOptions,
  measure: () => Promise<T>,
): Promise<T> {
  const { pid, blocks } = await ramMap(guest.domain);
  const ranges = blocks
    .slice(0, 1)
    .map(({ hva, replicaOffset }) => ({ hva, replicaOffset, bytes: PAGE_BYTES }));
  const memory = await native.memory.attach({
    ...{ pid, ranges, stagingBytes: STAGING_BYTES, threads: 1 },
  });
  const over = new AbortController();
  const closing = close(memory, options, over.signal);
  // Met below; it must not end the process while `measure` still runs.
  closing.catch(() => undefined);
  try {
    return await measure();
  } finally {
    over.abort();
    await closing.finally(() => memory.detach());
  }
}

async function close(
  memory: NativeGuestMemory,
  { boundary, firstEpoch, onClosed }: EpochsOptions,
  over: AbortSignal,
): Promise<void> {
  const nowhere = Buffer.alloc(CHUNK_BYTES_MAX);
  for (let epoch = firstEpoch; !over.aborted; epoch += 1) {
    await delay(DISK_EPOCH_MS);
    await memory.captureStopped({ epoch, copy: 'live', boundaries: [boundary] });
    while (!(await memory.encodeInto(nowhere)).done);
    await onClosed(epoch);
  }
}
