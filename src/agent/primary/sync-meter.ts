/** How far the first copy has come, and how fast: of the disks, then of memory. */
import type { DiskSyncProgress } from '../../diskmirror/disk-mirror.js';
import type { SyncProgress } from '../../epoch/sync.js';
import type { DomainStatus } from '../status.js';

export class SyncMeter {
  readonly #begunAtMs = performance.now();
  #disksDoneAtMs: number | undefined;
  memory: DomainStatus['sync'];
  disks: DomainStatus['diskSync'];

  onDisks(progress: DiskSyncProgress, bytesShipped: number): void {
    const bytesPerSecond = rate(progress.doneBytes, this.#begunAtMs);
    this.disks = { ...progress, bytesPerSecond, bytesShipped };
  }

  onMemory(progress: SyncProgress): void {
    this.#disksDoneAtMs ??= performance.now();
    const bytesPerSecond = rate(progress.bytesShipped, this.#disksDoneAtMs);
    this.memory = { ...progress, bytesPerSecond };
  }
}

function rate(bytes: number, sinceMs: number): number {
  const seconds = Math.max(0.001, (performance.now() - sinceMs) / 1000);
  return Math.round(bytes / seconds);
}
