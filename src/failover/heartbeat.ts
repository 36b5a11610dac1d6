/**
 * When is the peer silent? Pure: the caller tells what it heard and when it looked.
 *
 * The peer is suspected only when every path has been silent for `intervalMs × missedMax`. A
 * stall of our own process (we looked much later than we meant to) is no evidence against the
 * peer: what it sent meanwhile may still lie unread in our sockets, so it gets a grace.
 */
import type { HeartbeatPolicy } from '../wire/messages.js';

/** Every 50 ms, 5 missed: what a LAN host pair keeps up with. */
export const HEARTBEAT_DEFAULT: HeartbeatPolicy = { intervalMs: 50, missedMax: 5 };

/** A look that comes this many intervals late means that we, not the peer, stood still. */
const STALL_INTERVALS = 1;

/** After a stall the peer has this many intervals to be heard again. */
const GRACE_INTERVALS = 2;

export interface Verdict {
  silent: boolean;
  /** How long the least silent path has been silent, ms. */
  silentMs: number;
  lateMs: number;
  /** This look came much too late: a stall of our own. */
  stalled: boolean;
  /** The next look is due in so many ms: at the end of the time-out if that comes before. */
  nextMs: number;
}

export class HeartbeatMonitor {
  readonly #lastHeardMs: number[];
  #nextLookMs: number;
  #graceUntilMs = Number.NEGATIVE_INFINITY;
  stalls = 0;

  constructor(
    private readonly policy: HeartbeatPolicy,
    paths: number,
    nowMs: number,
    private readonly lookEveryMs: number = policy.intervalMs,
  ) {
    this.#lastHeardMs = Array.from({ length: paths }, () => nowMs);
    this.#nextLookMs = nowMs + lookEveryMs;
  }

  get timeoutMs(): number {
    return this.policy.intervalMs * this.policy.missedMax;
  }

  /** When any path was last heard. */
  get lastHeardMs(): number {
    return Math.max(...this.#lastHeardMs);
  }

  /** How long this path has been silent, ms; since the beginning when it was never heard. */
  silentMs(path: number, nowMs: number): number {
    return nowMs - (this.#lastHeardMs[path] ?? nowMs);
  }

  /** How long the most silent path has been silent, ms. */
  mostSilentMs(nowMs: number): number {
    return nowMs - Math.min(...this.#lastHeardMs);
  }

  heard(path: number, nowMs: number): void {
    if (path < this.#lastHeardMs.length) this.#lastHeardMs[path] = nowMs;
  }

  /** Call when a look is due, or earlier. `patience` stretches the time-out where suspicion is not urgent. */
  look(nowMs: number, patience = 1): Verdict {
    const { intervalMs } = this.policy;
    const lateMs = nowMs - this.#nextLookMs;
    const stalled = lateMs > intervalMs * STALL_INTERVALS;
    if (stalled) {
      this.stalls += 1;
      this.#graceUntilMs = nowMs + intervalMs * GRACE_INTERVALS;
    }
    const silentMs = nowMs - this.lastHeardMs;
    const suspectAtMs = Math.max(this.lastHeardMs + this.timeoutMs * patience, this.#graceUntilMs);
    const silent = nowMs >= suspectAtMs;
    const nextMs = silent ? this.lookEveryMs : Math.min(this.lookEveryMs, suspectAtMs - nowMs);
    this.#nextLookMs = nowMs + nextMs;
    return { silent, silentMs, lateMs, stalled, nextMs };
  }
}
