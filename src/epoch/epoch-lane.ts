/**
 * The primary's end of the lane: small epochs go to the backup, and their output to the clients, by native threads
 * alone (native/lane). Where it has ended, or never was, epochs go by the channel.
 */
import { notAfterNs } from '../clock.js';
import { type NativeOutlet, type NativePrimaryLane, native } from '../native.js';

export interface LaneListener {
  onCommitted(epoch: number): void;
  onEnded(why: string): void;
}

export class EpochLane {
  #lane: NativePrimaryLane | undefined;
  #committedAtMs = 0;

  private constructor() {}

  /** @throws errors of connect(2) and getaddrinfo(3), with `code` */
  static async connect(
    address: { host: string; port: number; secret: Buffer },
    listener: LaneListener,
  ): Promise<EpochLane> {
    const lane = new EpochLane();
    let ended = false;
    const connected = await native.lane.connect({
      ...address,
      onCommitted: (epoch, atNs) => {
        lane.#committedAtMs = Number(atNs) / 1e6;
        listener.onCommitted(epoch);
      },
      onEnded: (why) => {
        ended = true;
        lane.close();
        listener.onEnded(why);
      },
    });
    // The word of its end may overtake it.
    if (ended) connected.close();
    else lane.#lane = connected;
    return lane;
  }

  get isOpen(): boolean {
    return this.#lane !== undefined;
  }

  /** For the next capture; undefined when it has ended. */
  get outlet(): NativeOutlet | undefined {
    return this.#lane?.outlet;
  }

  /** CLOCK_MONOTONIC of the last commit that came by it. */
  get committedAtMs(): number {
    return this.#committedAtMs;
  }

  /** That checkpoint was committed by the channel. */
  setBase(deviceState: Buffer): void {
    this.#lane?.setBase(deviceState);
  }

  /** Output that is committed until then (CLOCK_MONOTONIC) leaves at once. */
  leaseUntil(untilMs: number): void {
    this.#lane?.leaseUntil(notAfterNs(untilMs));
  }

  /** When it returns, nothing leaves by it any more. */
  close(): void {
    this.#lane?.close();
    this.#lane = undefined;
  }
}
