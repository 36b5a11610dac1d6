/**
 * A loop that does not wait for commits: the next epoch closes while earlier ones are unacknowledged.
 *
 * The product's loop closes an epoch over an outstanding one only after a pause that failed behind the
 * boundary. The hold promises to stand any order of boundaries and commits, so here it gets worse.
 */
import { captureEpoch } from '../../../src/epoch/capture.js';
import { nothingShipped, type Shipper } from '../../../src/epoch/shipper.js';
import type { NativeBoundary } from '../../../src/native.js';
import type { FrameChannel } from '../../../src/wire/channel.js';
import type { GuestMemory } from './guest-memory.js';
import type { Hold } from './holds.js';
import { Md5 } from './md5.js';
import type { World } from './world.js';

const UNACKNOWLEDGED_MAX = 3;

/** What both loops offer to the session. */
export interface Loop {
  run(): Promise<void>;
  stop(): void;
  outputWaits(openEpoch: number): void;
  acknowledge(epoch: number): void;
  fail(error: Error): void;
}

export interface OverlappingParts {
  world: World;
  memory: GuestMemory;
  shipper: Shipper;
  channel: FrameChannel;
  hold: Hold;
  boundaries: readonly NativeBoundary[];
}

export class OverlappingLoop implements Loop {
  #epoch = 0;
  #stopped = false;
  #unacknowledged = 0;

  constructor(
    private readonly options: { term: number; intervalMs: number },
    private readonly parts: OverlappingParts,
  ) {}

  async run(): Promise<void> {
    while (!this.#stopped) {
      await this.parts.world.sleep('session', this.options.intervalMs);
      if (!this.#stopped && this.#unacknowledged < UNACKNOWLEDGED_MAX) await this.#checkpoint();
    }
  }

  stop(): void {
    this.#stopped = true;
  }

  fail(): void {
    this.#stopped = true;
  }

  outputWaits(): void {
    // Its pauses come at random.
  }

  acknowledge(epoch: number): void {
    this.#unacknowledged -= 1;
    // Released when its turn comes; nobody waits for the packets.
    void this.parts.hold.release(epoch);
  }

  async #checkpoint(): Promise<void> {
    const { memory, shipper, channel, boundaries } = this.parts;
    const { term } = this.options;
    this.#epoch += 1;
    const epoch = this.#epoch;
    const totals = nothingShipped();
    const hasher = new Md5();
    const onStagingFull = (): Promise<void> => shipper.ship('chunk', epoch, totals, { hasher });
    const request = { epoch, copy: 'staged', boundaries, onStagingFull } as const;
    const paused = await captureEpoch(memory, memory, request).catch((error: Error) => {
      // A pause that fails took nothing, unless a part of it is shipped.
      if (totals.chunks > 0) throw error;
    });
    if (paused === undefined) return;
    const { deviceState, settled } = paused;
    await shipper.ship('chunk', epoch, totals, { hasher });
    await settled;
    hasher.update(deviceState);
    this.#unacknowledged += 1;
    const message = {
      digest: hasher.digest(),
      chunks: totals.chunks,
      disks: [],
      addresses: [],
    };
    await channel.send({ type: 'deviceState', epoch, term }, deviceState);
    await channel.sendMessage('checkpoint', 'checkpoint', message, { epoch, term });
  }
}
