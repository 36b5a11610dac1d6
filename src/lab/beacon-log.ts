/**
 * What a receiver of the beacon (native/guest/beacon.c) can say about the guest. Pure.
 *
 * Output commit in one sentence: a counter that is not greater than the greatest one seen is
 * something the outside world was told and the guest has forgotten.
 */

export interface BeaconReport {
  packets: number;
  /** Greatest counter seen; 0n before the first packet. */
  lastCounter: bigint;
  /** The guest's uptime in that packet, ns. */
  lastUptimeNs: bigint;
  /** CLOCK_MONOTONIC of the last packet's arrival, ns; 0n before the first. */
  lastArrivalNs: bigint;
  /** Counters that were skipped: lost packets. */
  missing: bigint;
  /** Packets whose counter was not greater than one seen before: must be 0. */
  forgotten: number;
  /** The longest time between two packets, ns, and when it began (CLOCK_MONOTONIC). */
  longestSilenceNs: bigint;
  longestSilenceBeganNs: bigint;
  /** Packets that are not a beacon's. */
  malformed: number;
}

const PAYLOAD_BYTES = 16;

export class BeaconLog {
  #report: BeaconReport = {
    packets: 0,
    lastCounter: 0n,
    lastUptimeNs: 0n,
    lastArrivalNs: 0n,
    missing: 0n,
    forgotten: 0,
    longestSilenceNs: 0n,
    longestSilenceBeganNs: 0n,
    malformed: 0,
  };

  receive(payload: Buffer, arrivalNs: bigint): void {
    const seen = this.#report;
    if (payload.length !== PAYLOAD_BYTES) {
      seen.malformed += 1;
      return;
    }
    const counter = payload.readBigUInt64LE(0);
    this.#noteSilence(arrivalNs);
    if (counter <= seen.lastCounter) {
      seen.forgotten += 1;
    } else {
      // The first packet seen is where counting starts, whatever came before.
      if (seen.packets > 0) seen.missing += counter - seen.lastCounter - 1n;
      seen.lastCounter = counter;
      seen.lastUptimeNs = payload.readBigUInt64LE(8);
    }
    seen.packets += 1;
    seen.lastArrivalNs = arrivalNs;
  }

  report(): BeaconReport {
    return { ...this.#report };
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
