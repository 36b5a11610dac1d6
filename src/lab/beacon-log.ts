/**
 * What a receiver of the beacon (native/guest/beacon.c) can say about the guest. Pure.
 *
 * Output commit in one sentence: a counter that is not greater than the greatest one seen is
 * something the outside world was told and the guest has forgotten.
 *
 * With one exception. Two packets may be swapped on their way, held or not: by a guest with several processors
 * when one that waited for a neighbour's address is overtaken by the next (neigh_update() in the kernel's
 * net/core/neighbour.c; the very first packet can be that one), by hosts likewise (each processor has its own
 * backlog). Such a packet fills a gap, once and soon. A guest that went back repeats what was heard, the
 * greatest counter at least, and that fills none.
 */
import { LATE_PACKETS_MAX, LATE_WITHIN_MS } from './limits.js';

export interface BeaconReport {
  packets: number;
  /** Greatest counter seen; 0n before the first packet. */
  lastCounter: bigint;
  /** The guest's uptime in that packet, ns. */
  lastUptimeNs: bigint;
  /** CLOCK_MONOTONIC of the last packet's arrival, ns; 0n before the first. */
  lastArrivalNs: bigint;
  /** Counters that were skipped and did not come late: lost packets. */
  missing: bigint;
  /** Packets that came right behind a later one, each once. */
  late: number;
  /** Other packets whose counter was not greater than one seen before: must be 0. */
  forgotten: number;
  firstForgotten: Forgotten | undefined;
  /** The longest time between two packets, ns, and when it began (CLOCK_MONOTONIC). */
  longestSilenceNs: bigint;
  longestSilenceBeganNs: bigint;
  /** Packets that are not a beacon's. */
  malformed: number;
}

export interface Forgotten {
  counter: bigint;
  /** The greatest seen before it, and how long ago that one came. */
  greatest: bigint;
  sinceNs: bigint;
}

const PAYLOAD_BYTES = 16;

export class BeaconLog {
  #report: BeaconReport = {
    packets: 0,
    lastCounter: 0n,
    lastUptimeNs: 0n,
    lastArrivalNs: 0n,
    missing: 0n,
    late: 0,
    forgotten: 0,
    firstForgotten: undefined,
    longestSilenceNs: 0n,
    longestSilenceBeganNs: 0n,
    malformed: 0,
  };
  /** Skipped counters that may still come, with the time of the packet that skipped them; oldest first. */
  readonly #skipped = new Map<bigint, bigint>();
  #greatestAtNs = 0n;
  #firstCounter = 0n;

  receive(payload: Buffer, arrivalNs: bigint): void {
    const seen = this.#report;
    if (payload.length !== PAYLOAD_BYTES) {
      seen.malformed += 1;
      return;
    }
    const counter = payload.readBigUInt64LE(0);
    this.#noteSilence(arrivalNs);
    if (counter > seen.lastCounter) {
      const skipped = this.#skip(seen.lastCounter + 1n, counter, arrivalNs);
      // The first packet heard is where counting starts: what came before it need not come.
      if (seen.packets > 0) seen.missing += skipped;
      else this.#firstCounter = counter;
      seen.lastCounter = counter;
      seen.lastUptimeNs = payload.readBigUInt64LE(8);
      this.#greatestAtNs = arrivalNs;
    } else if (this.#isLate(counter, arrivalNs)) {
      seen.late += 1;
      if (counter > this.#firstCounter) seen.missing -= 1n;
    } else {
      seen.forgotten += 1;
      const sinceNs = arrivalNs - this.#greatestAtNs;
      seen.firstForgotten ??= { counter, greatest: seen.lastCounter, sinceNs };
    }
    seen.packets += 1;
    seen.lastArrivalNs = arrivalNs;
  }

  report(): BeaconReport {
    return { ...this.#report };
  }

  /** Remembers the counters from `from` up to, not including, `to`; returns how many they are. */
  #skip(from: bigint, to: bigint, arrivalNs: bigint): bigint {
    const room = BigInt(LATE_PACKETS_MAX);
    for (let counter = to - from > room ? to - room : from; counter < to; counter += 1n) {
      this.#skipped.set(counter, arrivalNs);
    }
    for (const oldest of this.#skipped.keys()) {
      if (this.#skipped.size <= LATE_PACKETS_MAX) break;
      this.#skipped.delete(oldest);
    }
    return to - from;
  }

  #isLate(counter: bigint, arrivalNs: bigint): boolean {
    const skippedNs = this.#skipped.get(counter);
    this.#skipped.delete(counter);
    return skippedNs !== undefined && arrivalNs - skippedNs <= BigInt(LATE_WITHIN_MS * 1e6);
  }

  #noteSilence(arrivalNs: bigint): void {
    const seen = this.#report;
    if (seen.packets === 0) return;
    const silenceNs = arrivalNs - seen.lastArrivalNs;
    if (silenceNs <= seen.longestSilenceNs) return;
    seen.longestSilenceNs = silenceNs;
    seen.longestSilenceBeganNs = seen.lastArrivalNs;
  }
}
