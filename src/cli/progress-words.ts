/** How far a copy is, in words and numbers, from a domain's status. Pure but for the pace it remembers. */
import type { DomainStatus } from '../agent/status.js';
import { duration } from './moments.js';
import { mib } from './output.js';

export interface Progress {
  /** "memory, round 1", "disks, copy" */
  what: string;
  /** Pages or bytes. */
  done: number;
  total: number;
  bytesShipped: number;
  bytesPerSecond: number;
}

/** Of what is being copied now; undefined when nothing is. Disks come first, then memory. */
export function progressOf({ sync, diskSync, state }: DomainStatus): Progress | undefined {
  if (state === 'protected' || state === 'promoted') return undefined;
  if (sync !== undefined && sync.pages > 0) {
    return {
      what: `memory, round ${sync.round + 1}`,
      done: sync.pagesDone,
      total: sync.pages,
      bytesShipped: sync.bytesShipped,
      bytesPerSecond: sync.bytesPerSecond,
    };
  }
  if (diskSync === undefined || diskSync.totalBytes === 0) return undefined;
  return {
    what: `disks, ${diskSync.how}`,
    done: diskSync.doneBytes,
    total: diskSync.totalBytes,
    bytesShipped: diskSync.bytesShipped,
    bytesPerSecond: diskSync.bytesPerSecond,
  };
}

/** What the time left is guessed from: the newest seconds, as a copy slows down where the data is. */
const PACE_WINDOW_MS = 10_000;
/** Before that a guess would jump. */
const PACE_MIN_MS = 1_000;

/** The pace of one part of a copy; a new part begins anew. */
export class Pace {
  #what = '';
  #samples: { atMs: number; done: number }[] = [];

  /** Time left of this part; undefined as long as that cannot be said. */
  leftMs({ what, done, total }: Progress, nowMs = performance.now()): number | undefined {
    if (what !== this.#what) this.#samples = [];
    this.#what = what;
    this.#samples = this.#samples.filter(({ atMs }) => nowMs - atMs <= PACE_WINDOW_MS);
    this.#samples.push({ atMs: nowMs, done });
    const first = this.#samples[0];
    if (first === undefined || nowMs - first.atMs < PACE_MIN_MS || done <= first.done)
      return undefined;
    return Math.max(0, total - done) * ((nowMs - first.atMs) / (done - first.done));
  }
}

/** "120 MiB shipped, 42 MiB/s, 8s left" */
export function progressWords(
  { bytesShipped, bytesPerSecond }: Progress,
  leftMs: number | undefined,
): string {
  const words = [`${mib(bytesShipped)} shipped`, `${mib(bytesPerSecond)}/s`];
  if (leftMs !== undefined) words.push(`${duration(leftMs)} left`);
  return words.join(', ');
}

/** "web1: disks, copy: 35 %, 120 MiB shipped, 42 MiB/s, 8s left" */
export function progressLine(
  domain: string,
  progress: Progress,
  leftMs: number | undefined,
): string {
  const { what, done, total } = progress;
  const percent = Math.min(100, Math.floor((done / total) * 100));
  return `${domain}: ${what}: ${percent} %, ${progressWords(progress, leftMs)}`;
}
