/**
 * Until when this primary can be sure that its backup has not taken over. Pure: moments in, answers out.
 *
 * A backup promotes when it has heard nothing for the time-out. It says with each heartbeat which of ours it
 * has heard last, so it cannot have promoted before that one was sent plus the time-out. Only the rates of
 * two clocks are compared, never their readings.
 */
import type { HeartbeatPolicy } from '../wire/messages.js';

/** Of the time-out: the rest is room for clocks that differ in rate, and for letting packets go. */
const LEASE_PART = 0.8;

export class Lease {
  readonly #lengthMs: number;
  #untilMs = Number.NEGATIVE_INFINITY;
  #waiting: (() => void)[] = [];

  constructor({ intervalMs, missedMax }: HeartbeatPolicy) {
    this.#lengthMs = intervalMs * missedMax * LEASE_PART;
  }

  /** CLOCK_MONOTONIC ms. */
  get untilMs(): number {
    return this.#untilMs;
  }

  /** The backup has heard what was sent at `sentAtMs` (CLOCK_MONOTONIC). */
  heard(sentAtMs: number): void {
    this.#untilMs = Math.max(this.#untilMs, sentAtMs + this.#lengthMs);
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  holds(nowMs: number): boolean {
    return nowMs < this.#untilMs;
  }

  /** Resolves with the next `heard`. */
  renewed(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }
}
