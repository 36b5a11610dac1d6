/**
 * Sync: the whole of guest memory is copied while the guest runs, round after round, until what is
 * left is small.
 *
 * Each round begins with a short pause that only scans and re-protects; the pages are read after
 * it, while the guest runs. A scan of a running guest would not do: it could re-protect a page that
 * a device is still writing to (a pinned page of an in-flight O_DIRECT read) and lose that write.
 */

import type { PauseSource } from '../hypervisor/pause-source.js';
import type { NativeGuestMemory } from '../native.js';
import { captureEpoch } from './capture.js';
import { SYNC_CONVERGING_RATIO, SYNC_ROUNDS_MAX, SYNC_SMALL_PAGES } from './limits.js';
import { nothingShipped, type Shipped, type Shipper } from './shipper.js';

export interface SyncProgress {
  round: number;
  /** Pages of this round, and how many of them are done. */
  pages: number;
  pagesDone: number;
  bytesShipped: number;
}

export interface SyncResult {
  rounds: number;
  bytesShipped: number;
  pauseUsMax: number;
}

/** Whether another round of sync is worth its while. Pure. */
export function anotherRound(round: number, pages: number, pagesBefore: number): boolean {
  if (pages <= SYNC_SMALL_PAGES || round + 1 >= SYNC_ROUNDS_MAX) return false;
  return round < 2 || pages < pagesBefore * SYNC_CONVERGING_RATIO;
}

export async function syncMemory(
  memory: NativeGuestMemory,
  pause: PauseSource,
  shipper: Shipper,
  onProgress: (progress: SyncProgress) => void,
): Promise<SyncResult> {
  memory.forgetReplica();
  const totals = nothingShipped();
  let pagesBefore = Number.POSITIVE_INFINITY;
  let pauseUsMax = 0;
  for (let round = 0; ; round += 1) {
    const { capture, settled } = await captureEpoch(memory, pause, {
      epoch: 0,
      copy: 'live',
      boundaries: [],
      onStagingFull: () => shipper.ship('syncChunk', 0, totals),
    });
    await settled;
    pauseUsMax = Math.max(pauseUsMax, capture.pauseUs);
    const handledBefore = handledPages(totals);
    const report = (): void =>
      onProgress({
        round,
        pages: capture.dirtyPages,
        pagesDone: handledPages(totals) - handledBefore,
        bytesShipped: totals.bytes,
      });
    report();
    await shipper.ship('syncChunk', 0, totals, { onChunk: report });
    report();
    if (!anotherRound(round, capture.dirtyPages, pagesBefore)) {
      return { rounds: round + 1, bytesShipped: totals.bytes, pauseUsMax };
    }
    pagesBefore = capture.dirtyPages;
  }
}

function handledPages(totals: Shipped): number {
  return totals.dataPages + totals.zeroPages + totals.unchangedPages;
}
