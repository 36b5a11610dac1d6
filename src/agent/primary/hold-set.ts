/** The output holds of all NICs of one domain, driven as one. */
import { notBeforeNs } from '../../clock.js';
import {
  type NativeBoundary,
  type NativeInboundWatch,
  type NativeTrigger,
  native,
} from '../../native.js';
import type {
  CommittedEpoch,
  HoldBackend,
  HoldTrouble,
  OutputHold,
} from '../../netbuffer/output-hold.js';
import type { HoldSummary } from '../status.js';

export interface HeldNic {
  tap?: string;
  bridge?: string;
}

export interface HoldListener {
  /** Output of the open epoch waits. */
  onWaiting: (openEpoch: number) => void;
  /** A limit is near: a commit would make room. */
  onFilling: () => void;
  /** A question to the guest began the prepared pause. */
  onInboundBegan: () => void;
  onTrouble: (tap: string, trouble: HoldTrouble) => void;
}

export class HoldSet {
  private constructor(
    private readonly backend: HoldBackend,
    private readonly holds: readonly OutputHold[],
    private readonly inbound: readonly NativeInboundWatch[],
  ) {}

  /** Holds every NIC that has a tap on a bridge, or none: a failure gives back what was held. */
  static async begin(
    backend: HoldBackend,
    nics: readonly HeldNic[],
    epoch: number,
    listener: HoldListener,
  ): Promise<HoldSet> {
    const holds: OutputHold[] = [];
    const inbound: NativeInboundWatch[] = [];
    try {
      for (const { tap, bridge } of nics) {
        if (tap === undefined || bridge === undefined) continue;
        const hold = await backend.holdOutput({
          tap,
          bridge,
          epoch,
          onWaiting: listener.onWaiting,
          onFilling: listener.onFilling,
          onTrouble: (trouble) => listener.onTrouble(tap, trouble),
        });
        holds.push(hold);
        inbound.push(native.net.watchInbound({ tap, onBegun: listener.onInboundBegan }));
      }
      return new HoldSet(backend, holds, inbound);
    } catch (error) {
      for (const watch of inbound) watch.close();
      await Promise.all(holds.map((hold) => hold.close({ release: true })));
      throw error;
    }
  }

  get boundaries(): readonly NativeBoundary[] {
    return [...this.holds, ...this.inbound].map(({ boundary }) => boundary);
  }

  get summary(): HoldSummary {
    const stats = this.holds.map((hold) => hold.stats());
    const sum = (value: (one: (typeof stats)[number]) => number): number =>
      stats.reduce((total, one) => total + value(one), 0);
    return {
      backend: this.backend.name,
      heldPackets: sum((one) => one.heldPackets),
      heldBytes: sum((one) => one.heldBytes),
      releasedPackets: sum((one) => one.releasedPackets),
      overflowPackets: sum((one) => one.overflowPackets),
      droppedPackets: sum((one) => one.droppedPackets),
    };
  }

  /** Why the kernel does not pass frames by itself (`timeline`), so that they are copied; undefined when it does. */
  get kernelRefusal(): string | undefined {
    const refusals = this.holds.map((hold) => hold.stats().kernelRefusal);
    return refusals.find((refusal) => refusal !== '');
  }

  async release(committed: CommittedEpoch): Promise<number> {
    const released = await Promise.all(this.holds.map((hold) => hold.release(committed)));
    return released.reduce((total, packets) => total + packets, 0);
  }

  /** Output passes unheld: for a planted fault. */
  open(): void {
    for (const hold of this.holds) hold.setPassing(true);
  }

  /** Output passes until then and is held after it (CLOCK_MONOTONIC ms). */
  passUntil(deadlineMs: number): void {
    for (const hold of this.holds) hold.passUntil(deadlineMs);
  }

  /** See OutputHold: the first of them to hold something fires it. */
  fireAtWaiting(trigger: NativeTrigger, notBeforeMs: number, quietly: boolean): void {
    for (const hold of this.holds) hold.fireAtWaiting(trigger, notBeforeMs, quietly);
  }

  /** The first question to the guest, on any of its NICs, fires it. */
  fireAtInbound(trigger: NativeTrigger, notBeforeMs: number): void {
    for (const watch of this.inbound) watch.fireAtInbound(trigger, notBeforeNs(notBeforeMs));
  }

  addresses(): { mac: string; address: string }[] {
    return this.holds.flatMap((hold) => hold.addresses());
  }

  dropAll(): number {
    return this.holds.reduce((total, hold) => total + hold.dropAll(), 0);
  }

  async close(how: { release: boolean }): Promise<void> {
    for (const watch of this.inbound) watch.close();
    await Promise.all(this.holds.map((hold) => hold.close(how)));
  }
}
