/** What native/net offers: holding output, announcing. Part of native.ts. */
import type { NativeBoundary, NativeTrigger } from './native-boundary.js';

export interface NativeHoldStats {
  /** The epoch that frames are now tagged with. */
  openEpoch: number;
  heldPackets: number;
  heldBytes: number;
  heldPacketsMax: number;
  heldBytesMax: number;
  releasedPackets: number;
  releasedBytes: number;
  /** Refused because a limit was reached. */
  overflowPackets: number;
  /** Thrown away by dropAll. */
  droppedPackets: number;
  /** Frames the bridge port did not take (write failed). */
  writeErrors: number;
  /** CLOCK_MONOTONIC ns of the arrival of the oldest held frame; 0n when none. */
  oldestHeldNs: bigint;
  /** Of those released: passed by the kernel itself, `holder` only (native/net/kernel_pass.h). */
  kernelPackets: number;
  /** Why the kernel does not: frames are copied. Empty when it does, or was not asked. */
  kernelRefusal: string;
}

export interface NativeTapHolder {
  readonly readTap: string;
  readonly bridgeTap: string;
  /** Give this to `capture`. */
  readonly boundary: NativeBoundary;
  /** Closes `epoch` outside a capture (guest must stand still, or exactness does not matter). */
  closeEpoch(epoch: number): void;
  /** Writes every frame of epochs up to and including `epoch` to the bridge port, in order; resolves with their number. */
  release(epoch: number): Promise<number>;
  /** Throws away everything held; returns how many frames. */
  dropAll(): number;
  /** true: frames pass at once and unheld (start and end of protection only). */
  setPassing(passing: boolean): void;
  /**
   * The redirect from the guest's tap is in place: from now on a change of it, of the taps or of the
   * bridge port is told as trouble. `false` before the hold takes it off itself.
   */
  watchTap(watching: boolean): void;
  /** Frames pass unheld until CLOCK_MONOTONIC reaches `deadlineNs`, checked for each frame. */
  passUntil(deadlineNs: bigint): void;
  /**
   * The next `onWaiting` also fires this, before it is called, unless it comes before `notBeforeNs`
   * (CLOCK_MONOTONIC). `quietly`: it is not called, if that began it. Once; the last one given counts.
   */
  fireAtWaiting(trigger: NativeTrigger, notBeforeNs: bigint, quietly: boolean): void;
  stats(): NativeHoldStats;
  /** IPv4 and IPv6 addresses seen as source in the guest's own frames, with their MAC; at most 32. */
  addresses(): { mac: string; address: string }[];
  /** Stops the thread, closes both taps (which removes them); held frames are gone. */
  close(): Promise<void>;
}

/** What both holds tell; from any thread, in order. */
export interface NativeHoldListener {
  /** Called once per open epoch, with its number, at its first held frame, and again after `dropAll`. */
  onWaiting: (openEpoch: number) => void;
  /** More than half of a limit is held; at most once between two releases. */
  onFilling: () => void;
  /** `overflow` once between two releases; `tap-failed` once; `unheld` each time (output-hold.ts says what they mean). */
  onTrouble: (trouble: { kind: 'overflow' | 'tap-failed' | 'unheld'; reason: string }) => void;
}

/** The kernel's plug qdisc on an IFB that a tap's ingress is redirected to, driven by raw rtnetlink. */
export interface NativePlugHold {
  readonly tap: string;
  readonly ifb: string;
  readonly boundary: NativeBoundary;
  closeEpoch(epoch: number): void;
  /** Resolves with the number of frames that have left the plug. */
  release(epoch: number): Promise<number>;
  dropAll(): number;
  setPassing(passing: boolean): void;
  fireAtWaiting(trigger: NativeTrigger, notBeforeNs: bigint, quietly: boolean): void;
  stats(): NativeHoldStats;
  addresses(): { mac: string; address: string }[];
  /**
   * `output: 'held'`: leaves everything as it is, so that nothing passes.
   * `'release'`: what is held leaves first, in order, then the tap is plain again.
   * `'drop'`: what is held is thrown away, then the tap is plain again.
   */
  close(how: { output: 'held' | 'release' | 'drop' }): Promise<void>;
}

/** Begins a prepared pause at the first frame to one receiver that goes out to the guest: a question. */
export interface NativeInboundWatch {
  /** Told of every epoch that closes; questions asked before count no more. */
  readonly boundary: NativeBoundary;
  /** The same, for a caller without a capture. */
  closeEpoch(epoch: number): void;
  /**
   * The next question fires `trigger`, or one asked since the last boundary, at `notBeforeNs` (CLOCK_MONOTONIC)
   * or later. Once; the last one given counts.
   */
  fireAtInbound(trigger: NativeTrigger, notBeforeNs: bigint): void;
  close(): void;
}

/**
 * What one plug qdisc must be told, decided without a kernel (native/net/plug_rule.h): sch_plug counts
 * one closed epoch that is not released yet; a second BUFFER would give its packets to the first.
 */
export interface NativePlugRule {
  /** The guest stands still and `epoch` closes: commands for the qdisc, in order. */
  close(epoch: number): NativePlugCommand[];
  /** `epoch` is committed. Throws HOLD_EPOCH_OPEN when it is not closed. */
  release(epoch: number): NativePlugCommand[];
  /** All that was released has left the queue. Until then boundaries are merged. */
  left(): void;
  /** The epoch that frames arriving now are counted to (a merged boundary counts them later, never earlier). */
  readonly openEpoch: number;
}
export type NativePlugCommand = 'buffer' | 'releaseOne';

export interface NativeNet {
  /**
   * Makes IFB, plug and redirect, in the order in which nothing passes unheld, and takes over what a dead
   * hold left (`ifb` exists). Watches them from then on: what is taken away is put back before anything
   * is released. On failure nothing has changed.
   */
  openPlugHold(
    options: {
      tap: string;
      ifb: string;
      epoch: number;
      /** The plug counts bytes; frames are limited by what is looked at every few ms while output waits. */
      limitPackets: number;
      limitBytes: number;
    } & NativeHoldListener,
  ): NativePlugHold;
  /** Takes off what a dead plug hold left on `tap`: filter, IFB; what it held is thrown away. Idempotent. */
  removePlugHold(options: { tap: string; ifb: string }): void;
  /** Adds a plug to a scratch IFB, drives it through its commands and removes it; throws why it cannot. */
  probePlug(): void;
  /** The rule alone, for tests and the model of the protocol. */
  plugRule(options: { epoch: number }): NativePlugRule;
  /** `onBegun`: a question began the pause; told 0.6 ms later, while libvirt and QEMU are still on their way. */
  watchInbound(options: { tap: string; onBegun: () => void }): NativeInboundWatch;
  /**
   * Makes the two taps of the split port (IFF_VNET_HDR, offloads on) and starts the holder's
   * thread, holding from its first frame, open epoch `epoch`.
   */
  openTapHolder(
    options: {
      readTap: string;
      bridgeTap: string;
      epoch: number;
      limitPackets: number;
      limitBytes: number;
      /** The guest's tap, whose ingress must stay redirected to `readTap`; watched from `watchTap` on. */
      tap?: string;
      /** Whether the kernel is asked to pass frames of `tap` by itself while output passes; default true. */
      kernelPasses?: boolean;
    } & NativeHoldListener,
  ): NativeTapHolder;
  /** What the kernel is given for that (native/net/pass_program.h), for tests of how it is put together. */
  passProgram(): { code: number; offset: number; value: number }[];
  /**
   * Sends from `ifname` what tells the network where `mac` lives: RARP always, gratuitous ARP
   * (request form) per IPv4 address, unsolicited neighbour advertisement (override flag) per IPv6
   * address. Source MAC of every frame is `mac`.
   */
  announce(options: { ifname: string; mac: string; addresses: readonly string[] }): {
    frames: number;
  };
}
