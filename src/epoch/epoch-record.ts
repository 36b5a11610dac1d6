/** What one epoch took, put together from those who measured it. */
import type { PausedCapture } from './capture.js';
import type { EpochRecord } from './records.js';
import type { Shipped } from './shipper.js';

/** What follows the pause, and how long output had waited for it, ms. */
export interface LaterMs {
  waited: number | undefined;
  total: number;
  encode: number;
  ship: number;
  prove: number;
  commit: number;
  release: number;
}

export function recordOf(
  { capture, shippedPaused }: PausedCapture,
  totals: Shipped,
  releasedPackets: number,
  laterMs: LaterMs,
): EpochRecord {
  return {
    epoch: capture.epoch,
    pausedAtMs: Number(capture.pausedAtNs) / 1e6,
    pauseUs: capture.pauseUs,
    waitedUs: laterMs.waited === undefined ? undefined : laterMs.waited * 1000,
    totalUs: laterMs.total * 1000,
    phasesUs: {
      gate: capture.gateUs,
      boundary: capture.boundaryUs,
      scan: capture.scanUs,
      copy: capture.copyUs,
      deviceState: capture.drainUs,
      encode: laterMs.encode * 1000,
      ship: laterMs.ship * 1000,
      prove: laterMs.prove * 1000,
      commit: laterMs.commit * 1000,
      release: laterMs.release * 1000,
    },
    dirtyPages: capture.dirtyPages,
    dataPages: totals.dataPages,
    zeroPages: totals.zeroPages,
    unchangedPages: totals.unchangedPages,
    shippedBytes: totals.bytes,
    releasedPackets,
    shippedPaused,
  };
}
