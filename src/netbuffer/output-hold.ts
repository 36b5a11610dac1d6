/**
 * The one interface of the output hold: what every backend promises and the rest of the
 * program may use. Packets of the guest stay held until their epoch is committed; what the
 * types can forbid (releasing an epoch that nobody acknowledged) they forbid.
 */
import type { NativeBoundary, NativeHoldStats } from '../native.js';

declare const committedBrand: unique symbol;
/** An epoch whose checkpoint the backup has acknowledged. */
export type CommittedEpoch = number & { readonly [committedBrand]: true };

/** For the epoch loop alone: call it only with an epoch whose acknowledgement has arrived. */
export function committedEpoch(epoch: number): CommittedEpoch {
  return epoch as CommittedEpoch;
}

export type HoldStats = NativeHoldStats;

/** An address the guest used as a source in its own frames. */
export interface LearnedAddress {
  readonly mac: string;
  readonly address: string;
}

export interface HoldTrouble {
  /** `overflow`: a limit was reached, packets are lost. `tap-failed`: an interface is gone or down. */
  readonly kind: 'overflow' | 'tap-failed';
  readonly reason: string;
}

export interface HoldOptions {
  /** The guest's tap: a port of `bridge`, up. */
  readonly tap: string;
  readonly bridge: string;
  /** The epoch that is open when the hold begins. */
  readonly epoch: number;
  /** Defaults: limits.ts. What comes beyond a limit is dropped and counted. */
  readonly limitPackets?: number;
  readonly limitBytes?: number;
  /** The open epoch has its first held packet; called once per epoch, and again after `dropAll`. */
  readonly onWaiting: () => void;
  /** Called at the first overflow after a release, and once when an interface fails. */
  readonly onTrouble: (trouble: HoldTrouble) => void;
}

export type HoldBackendName = 'holder' | 'plug';

export interface OutputHold {
  readonly backend: HoldBackendName;
  readonly tap: string;
  readonly bridge: string;
  /** Given to every capture: marks the boundary while the guest stands still. */
  readonly boundary: NativeBoundary;
  /** Closes an epoch outside a capture; the guest must stand still. */
  closeEpoch(epoch: number): void;
  /**
   * Lets every packet of epochs up to and including `committed` go, in order; resolves with
   * their number. HOLD_EPOCH_OPEN when that epoch is not closed: nothing is released then.
   */
  release(committed: CommittedEpoch): Promise<number>;
  /** Throws away everything held; returns how many packets. */
  dropAll(): number;
  /**
   * true: packets pass unheld, those held before them first. Only while nothing is promised yet
   * (sync), when the arbiter granted that the primary goes on alone, or when the operator ends
   * the protection. false: holds again; what has not left yet stays.
   */
  setPassing(passing: boolean): void;
  stats(): HoldStats;
  /** At most 32; the least recently used are forgotten. */
  addresses(): LearnedAddress[];
  /**
   * Takes the hold off the guest's interface and gives it back to its bridge, link up all the
   * time. `release: true` lets held packets go first, `false` throws them away. Packets that the
   * guest sends within the few milliseconds of the switch itself are lost, never reordered. When
   * it fails (HOLD_…) output is still held or stopped, and it may be called again.
   */
  close(options: { release: boolean }): Promise<void>;
}

/** What a backend found out about this kernel by trying. */
export type HoldProbe =
  | { readonly available: true; readonly backend: HoldBackendName }
  | { readonly available: false; readonly backend: HoldBackendName; readonly reason: string };

/** One way to hold output; `netbuffer-contract` in the tests runs on each. */
export interface HoldBackend {
  readonly name: HoldBackendName;
  /** Tries everything the backend needs on scratch interfaces, and removes them. */
  probe(): Promise<HoldProbe>;
  /** Nothing the guest sends leaves unheld from the moment this resolves; on failure nothing has changed. */
  holdOutput(options: HoldOptions): Promise<OutputHold>;
  /** After a crash: gives the tap back to its bridge. Idempotent. HOLD_STILL_HELD while a process holds it. */
  restoreTap(options: { tap: string; bridge: string }): Promise<void>;
}
