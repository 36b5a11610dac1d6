/** What each epoch cost, kept in a ring, and the percentiles made from it. Phases share these names everywhere. */
import { EPOCH_RECORDS_MAX } from './limits.js';

/** The parts of one epoch, one after the other. */
export const PHASES = {
  gate: 'From the command to the guest standing still: QEMU flushes its disks in it.',
  boundary: 'Output hold and disk mirror mark the end of the epoch.',
  scan: 'Finding the dirty pages and protecting them again.',
  copy: 'Copying them to staging.',
  deviceState: 'Draining the device state; the guest runs again at its end.',
  encode: 'Encoding the first chunk; the others are encoded while one is sent.',
  ship: 'Handing pages, device state and disk log to the network.',
  prove: 'Waiting for what must be certain before the checkpoint counts: the mirrors are whole.',
  commit: 'Until the backup has acknowledged.',
  release: 'Until the held packets have left.',
} as const;

export const PHASE_NAMES = Object.keys(PHASES) as readonly Phase[];

export type Phase = keyof typeof PHASES;

export interface EpochRecord {
  epoch: number;
  /** CLOCK_MONOTONIC, ms, of the pause's begin. */
  pausedAtMs: number;
  pauseUs: number;
  /** From the first held packet to the decision to pause; undefined when no output waited. */
  waitedUs: number | undefined;
  /** From that decision to the release: what the phases add up to, and what lies between them. */
  totalUs: number;
  phasesUs: Record<Phase, number>;
  dirtyPages: number;
  dataPages: number;
  zeroPages: number;
  unchangedPages: number;
  shippedBytes: number;
  releasedPackets: number;
  /** Staging was too small: part of this epoch was shipped with the guest paused. */
  shippedPaused: boolean;
}

export interface Spread {
  p50: number;
  p99: number;
  max: number;
}

/** Median, 99th percentile (nearest rank) and maximum; zeroes when empty. */
export function spreadOf(values: readonly number[]): Spread {
  if (values.length === 0) return { p50: 0, p99: 0, max: 0 };
  const sorted = [...values].sort((a, b) => a - b);
  const at = (part: number): number =>
    sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)] as number;
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}

export class EpochRecords {
  readonly #ring: EpochRecord[] = [];
  #next = 0;
  epochs = 0;
  shippedBytes = 0;
  shippedPausedEpochs = 0;

  add(record: EpochRecord): void {
    if (this.#ring.length < EPOCH_RECORDS_MAX) this.#ring.push(record);
    else this.#ring[this.#next] = record;
    this.#next = (this.#next + 1) % EPOCH_RECORDS_MAX;
    this.epochs += 1;
    this.shippedBytes += record.shippedBytes;
    if (record.shippedPaused) this.shippedPausedEpochs += 1;
  }

  /** Oldest first, at most `count` of the newest. */
  last(count: number = EPOCH_RECORDS_MAX): EpochRecord[] {
    const inOrder = [...this.#ring.slice(this.#next), ...this.#ring.slice(0, this.#next)];
    const ordered = this.#ring.length < EPOCH_RECORDS_MAX ? this.#ring : inOrder;
    return ordered.slice(-count);
  }

  spread(value: (record: EpochRecord) => number): Spread {
    return spreadOf(this.#ring.map(value));
  }
}
