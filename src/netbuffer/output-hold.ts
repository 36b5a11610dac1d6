/**
 * The one interface of the output hold: what every backend promises and the rest of the
 * program may use. Packets of the guest stay held until their epoch is committed; what the
 * types can forbid (releasing an epoch that nobody acknowledged) they forbid.
 */
import type { NativeBoundary, NativeHoldStats, NativeTrigger } from '../native.js';

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
  /**
   * `overflow`: a limit was reached, packets are lost.
   * `tap-failed`: an interface is gone or down; nothing of this tap is held or let out any more.
   * `unheld`: somebody took a part of the hold away (qdisc, filter, IFB, bridge port), so packets of the
   * open epoch may have left. It is in place again when this is told, and nothing was released meanwhile.
   */
  readonly kind: 'overflow' | 'tap-failed' | 'unheld';
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
  /** `false`: what passes is copied, as where the kernel cannot pass it by itself. For tests and comparisons. */
  readonly kernelPasses?: boolean;
  /** The open epoch has its first held packet; called once per epoch, and again after `dropAll`. */
  readonly onWaiting: (openEpoch: number) => void;
  /** More than half of a limit is held; at most once between two releases. */
  readonly onFilling: () => void;
  /** Called at the first overflow after a release, once when an interface fails, each time output was unheld. */
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
   * Lets packets of epochs up to and including `committed` go, in order; resolves with their number.
   * All of them, unless a boundary was merged: `plug` knows one closed epoch at a time, and what a
   * boundary found while one was outstanding goes with a later epoch (held longer, never shorter).
   * HOLD_EPOCH_OPEN when that epoch is not closed, HOLD_LOST when output cannot be held again after
   * it was unheld: nothing is released then.
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
  /**
   * Packets pass unheld until `deadlineMs` (CLOCK_MONOTONIC) and are held after it, whatever has become
   * of this thread by then: each call moves the deadline. For `timeline`, where a primary that is
   * cut off must fall silent by itself. HOLD_NO_LEASE on a backend whose `canLease` is false.
   */
  passUntil(deadlineMs: number): void;
  /**
   * The next `onWaiting` that comes at `notBeforeMs` (CLOCK_MONOTONIC) or later also fires `trigger`, before it is
   * called; `quietly`: it is not called, if that began it. Once; the last one given counts.
   */
  fireAtWaiting(trigger: NativeTrigger, notBeforeMs: number, quietly?: boolean): void;
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
  /** Whether passing can end by itself (`passUntil`). The kernel's qdisc has no clock for it. */
  readonly canLease: boolean;
  /** Tries everything the backend needs on scratch interfaces, and removes them. */
  probe(): Promise<HoldProbe>;
  /** Nothing the guest sends leaves unheld from the moment this resolves; on failure nothing has changed. */
  holdOutput(options: HoldOptions): Promise<OutputHold>;
  /** After a crash: gives the tap back to its bridge. Idempotent. HOLD_STILL_HELD while a process holds it. */
  restoreTap(options: { tap: string; bridge: string }): Promise<void>;
}
