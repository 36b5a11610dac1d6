/**
 * What an outsider can see of a takeover. Pure: answers and packets in, findings out.
 *
 * The guest's beacon counts in its own memory, so its counter goes back exactly when the guest
 * does: a counter that was seen before is a packet that left before its epoch was committed.
 */

export interface WitnessReport {
  ackedWrites: number;
  /** Longest time between two answers since `mark`, and when it began and ended (CLOCK_MONOTONIC ms). */
  gapMs: number;
  gapFromMs: number;
  gapToMs: number;
  beacons: number;
  /** Beacons whose counter was seen before. */
  repeatedBeacons: number;
  /** The guest's clock never went back by more than one epoch can explain. */
  uptimeContinued: boolean;
  firstUptimeMs: number;
  lastUptimeMs: number;
}

/** A takeover repeats at most the open epoch; a restarted guest would go back by its whole uptime. */
const UPTIME_BACK_MS_MAX = 2_000;

export class Witness {
  #acked = 0;
  #lastAnswerMs: number | undefined;
  #gap = { lengthMs: 0, fromMs: 0, toMs: 0 };
  #beacons = 0;
  #repeated = 0;
  #highest = -1n;
  #firstUptimeMs: number | undefined;
  #lastUptimeMs = 0;
  #uptimeContinued = true;

  /** From here on gaps and repeated beacons count. */
  mark(): void {
    this.#gap = { lengthMs: 0, fromMs: 0, toMs: 0 };
    this.#repeated = 0;
  }

  answered(nowMs: number): void {
    this.#acked += 1;
    if (this.#lastAnswerMs !== undefined && nowMs - this.#lastAnswerMs > this.#gap.lengthMs) {
      const fromMs = this.#lastAnswerMs;
      this.#gap = { lengthMs: nowMs - fromMs, fromMs, toMs: nowMs };
    }
    this.#lastAnswerMs = nowMs;
  }

  /** One beacon datagram: u64 counter, u64 guest uptime in ns, little-endian; others are ignored. */
  beacon(datagram: Buffer): void {
    if (datagram.length !== 16) return;
    const counter = datagram.readBigUInt64LE(0);
    const uptimeMs = Number(datagram.readBigUInt64LE(8) / 1_000_000n);
    this.#beacons += 1;
    if (counter <= this.#highest) this.#repeated += 1;
    else this.#highest = counter;
    if (uptimeMs < this.#lastUptimeMs - UPTIME_BACK_MS_MAX) this.#uptimeContinued = false;
    this.#firstUptimeMs ??= uptimeMs;
    this.#lastUptimeMs = uptimeMs;
  }

  report(): WitnessReport {
    return {
      ackedWrites: this.#acked,
      gapMs: this.#gap.lengthMs,
      gapFromMs: this.#gap.fromMs,
      gapToMs: this.#gap.toMs,
      beacons: this.#beacons,
      repeatedBeacons: this.#repeated,
      uptimeContinued: this.#uptimeContinued,
      firstUptimeMs: this.#firstUptimeMs ?? 0,
      lastUptimeMs: this.#lastUptimeMs,
    };
  }
}
