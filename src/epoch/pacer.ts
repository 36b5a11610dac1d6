/**
 * Waits for the moment of the next pause. Gathers what the policy must know, asks it again whenever
 * that changes, and sleeps in between.
 */
import { DIRTY_LOOK_EVERY_MS, GUEST_LOAD_MEAN_OVER } from './limits.js';
import type { DirtySet, EpochPolicy } from './policy.js';
import type { EpochRecord } from './records.js';

export interface PacerFacts {
  /** What one pause can copy. */
  stagingBytes: number;
  /** Bytes dirtied since the last pause, seen from outside; undefined where they always fit staging. */
  lookAtDirty: (() => Promise<number>) | undefined;
  /** Part of the time outside of pauses in which the guest's busiest vCPU worked, 0 to 1. */
  guestLoad: (pausedMs: number) => number;
}

export class Pacer {
  #lastPausedAtMs: number | undefined;
  /** From the pause before to the last one. */
  #apartMs = 0;
  #waitingSinceMs: number | undefined;
  #holdFilling = false;
  #asked = false;
  #stopped = false;
  /** What the last pause is to answer, should it fail. */
  #met: { waitingSinceMs: number | undefined; holdFilling: boolean } | undefined;
  /** The epoch that it closes. */
  #closing = 0;
  #lastCommitMs = 0;
  #pauseCostMs = 0;
  #pausedMs = 0;
  #dirty: DirtySet;
  #wake: () => void = () => undefined;

  constructor(
    private readonly policy: EpochPolicy,
    private readonly facts: PacerFacts,
  ) {
    const { stagingBytes } = facts;
    this.#dirty = { bytesPerMs: 0, seenAtMs: performance.now(), seenBytes: 0, stagingBytes };
  }

  /** `openEpoch` has its first held packet. It may be the one that the pause under way is about to close. */
  outputWaits(openEpoch: number): void {
    if (openEpoch <= this.#closing) {
      if (this.#met !== undefined) this.#met.waitingSinceMs ??= performance.now();
      return;
    }
    this.#waitingSinceMs ??= performance.now();
    this.#wake();
  }

  holdFills(): void {
    this.#holdFilling = true;
    this.#wake();
  }

  /** The next pause begins at once, or right after the checkpoint that is under way. */
  ask(): void {
    this.#asked = true;
    this.#wake();
  }

  stop(): void {
    this.#stopped = true;
    this.#wake();
  }

  /** Should output begin to wait: in how many ms a pause may begin at once; undefined when one is due anyway. */
  mayPauseInMs(): number | undefined {
    if (this.#waitingSinceMs !== undefined || this.#asked || this.#holdFilling) return undefined;
    return this.#nextPauseInMs(performance.now());
  }

  /** Resolves when the next pause should begin, and at once after `stop()`. */
  async untilNextPause(): Promise<void> {
    while (!this.#stopped) {
      const delayMs = this.#nextPauseInMs();
      if (delayMs <= 0) return;
      const { lookAtDirty } = this.facts;
      if (lookAtDirty === undefined || delayMs <= DIRTY_LOOK_EVERY_MS) await this.#sleep(delayMs);
      else if (await this.#sleep(DIRTY_LOOK_EVERY_MS)) await this.#look(lookAtDirty);
    }
  }

  /** A pause that closes `epoch` began at `nowMs` (performance.now()). Returns how long output has waited, ms. */
  pauseBegins(epoch: number, nowMs = performance.now()): number | undefined {
    this.#closing = epoch;
    const waitedMs =
      this.#waitingSinceMs === undefined ? undefined : Math.max(0, nowMs - this.#waitingSinceMs);
    this.#apartMs = nowMs - (this.#lastPausedAtMs ?? nowMs);
    this.#lastPausedAtMs = nowMs;
    this.#met = { waitingSinceMs: this.#waitingSinceMs, holdFilling: this.#holdFilling };
    this.#waitingSinceMs = undefined;
    this.#holdFilling = false;
    this.#asked = false;
    this.#dirty = { ...this.#dirty, seenAtMs: nowMs, seenBytes: 0 };
    return waitedMs;
  }

  /** What waited before the pause waits still: the hold tells of it only once. */
  pauseFailed(): void {
    this.#closing = 0;
    this.#waitingSinceMs = this.#met?.waitingSinceMs ?? this.#waitingSinceMs;
    this.#holdFilling ||= this.#met?.holdFilling ?? false;
  }

  epochDone(record: EpochRecord, pageBytes: number): void {
    this.#lastCommitMs = performance.now() - (this.#lastPausedAtMs ?? 0);
    const pauseMs = record.pauseUs / 1000;
    this.#pausedMs += pauseMs;
    const costMs = pauseMs * this.facts.guestLoad(this.#pausedMs);
    this.#pauseCostMs += (costMs - this.#pauseCostMs) / GUEST_LOAD_MEAN_OVER;
    const bytesPerMs = (record.dirtyPages * pageBytes) / Math.max(1, this.#apartMs);
    this.#dirty = { ...this.#dirty, bytesPerMs };
  }

  #nextPauseInMs(waitingSinceMs = this.#waitingSinceMs): number {
    return this.policy.nextPauseInMs({
      nowMs: performance.now(),
      lastPausedAtMs: this.#lastPausedAtMs,
      waitingSinceMs,
      holdFilling: this.#holdFilling,
      asked: this.#asked,
      lastCommitMs: this.#lastCommitMs,
      pauseCostMs: this.#pauseCostMs,
      dirty: this.#dirty,
    });
  }

  async #look(lookAtDirty: () => Promise<number>): Promise<void> {
    const seenBytes = await lookAtDirty();
    this.#dirty = { ...this.#dirty, seenAtMs: performance.now(), seenBytes };
  }

  /** True when the time is over, false when something changed before. */
  #sleep(delayMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(true), delayMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve(false);
      };
    });
  }
}
