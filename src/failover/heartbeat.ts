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

/** Looking this many intervals late means that we, not the peer, stood still. */
const STALL_INTERVALS = 2;

/** After a stall the peer has this many intervals to be heard again. */
const GRACE_INTERVALS = 2;

export interface Verdict {
  silent: boolean;
  /** How long the least silent path has been silent, ms. */
  silentMs: number;
  /** This look came late: a stall of our own. */
  stalled: boolean;
}

export class HeartbeatMonitor {
  readonly #lastHeardMs: number[];
  #lastLookMs: number;
  #graceUntilMs = Number.NEGATIVE_INFINITY;
  stalls = 0;

  constructor(
    private readonly policy: HeartbeatPolicy,
    paths: number,
    nowMs: number,
  ) {
    this.#lastHeardMs = Array.from({ length: paths }, () => nowMs);
    this.#lastLookMs = nowMs;
  }

  get timeoutMs(): number {
    return this.policy.intervalMs * this.policy.missedMax;
  }

  heard(path: number, nowMs: number): void {
    if (path < this.#lastHeardMs.length) this.#lastHeardMs[path] = nowMs;
  }

  /** Call about every `intervalMs`. `patience` stretches the time-out where suspicion is not urgent. */
  look(nowMs: number, patience = 1): Verdict {
    const stalled = nowMs - this.#lastLookMs > this.policy.intervalMs * STALL_INTERVALS;
    this.#lastLookMs = nowMs;
    if (stalled) {
      this.stalls += 1;
      this.#graceUntilMs = nowMs + this.policy.intervalMs * GRACE_INTERVALS;
    }
    const silentMs = nowMs - Math.max(...this.#lastHeardMs);
    const silent = silentMs >= this.timeoutMs * patience && nowMs >= this.#graceUntilMs;
    return { silent, silentMs, stalled };
  }
}
