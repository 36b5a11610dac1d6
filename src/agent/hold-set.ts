/** The output holds of all NICs of one domain, driven as one. */
import type { NativeBoundary } from '../native.js';
import { holderBackend } from '../netbuffer/holder.js';
import type { CommittedEpoch, OutputHold } from '../netbuffer/output-hold.js';
import type { HoldSummary } from './status.js';

export interface HeldNic {
  tap?: string;
  bridge?: string;
}

export class HoldSet {
  private constructor(private readonly holds: readonly OutputHold[]) {}

  /** Holds every NIC that has a tap on a bridge, or none: a failure gives back what was held. */
  static async begin(
    nics: readonly HeldNic[],
    options: { epoch: number; open: boolean; onTrouble: (reason: string) => void },
  ): Promise<HoldSet> {
    const holds: OutputHold[] = [];
    try {
      for (const { tap, bridge } of nics) {
        if (tap === undefined || bridge === undefined) continue;
        const hold = await holderBackend.holdOutput({
          tap,
          bridge,
          epoch: options.epoch,
          onWaiting: () => undefined,
          onTrouble: ({ kind, reason }) => options.onTrouble(`${tap}: ${kind}: ${reason}`),
        });
        holds.push(hold);
        if (options.open) hold.setPassing(true);
      }
      return new HoldSet(holds);
    } catch (error) {
      await Promise.all(holds.map((hold) => hold.close({ release: true })));
      throw error;
    }
  }

  get boundaries(): readonly NativeBoundary[] {
    return this.holds.map((hold) => hold.boundary);
  }

  get summary(): HoldSummary {
    const stats = this.holds.map((hold) => hold.stats());
    const sum = (value: (one: (typeof stats)[number]) => number): number =>
      stats.reduce((total, one) => total + value(one), 0);
    return {
      backend: this.holds[0]?.backend ?? 'none',
      heldPackets: sum((one) => one.heldPackets),
      heldBytes: sum((one) => one.heldBytes),
      releasedPackets: sum((one) => one.releasedPackets),
      overflowPackets: sum((one) => one.overflowPackets),
      droppedPackets: sum((one) => one.droppedPackets),
    };
  }

  async release(committed: CommittedEpoch): Promise<number> {
    const released = await Promise.all(this.holds.map((hold) => hold.release(committed)));
    return released.reduce((total, packets) => total + packets, 0);
  }

  addresses(): { mac: string; address: string }[] {
    return this.holds.flatMap((hold) => hold.addresses());
  }

  dropAll(): number {
    return this.holds.reduce((total, hold) => total + hold.dropAll(), 0);
  }

  async close(how: { release: boolean }): Promise<void> {
    await Promise.all(this.holds.map((hold) => hold.close(how)));
  }
}
