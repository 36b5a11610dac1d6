/**
 * The backup: the real ReplicaReceiver behind the real channel, judged alive by the real heartbeat
 * monitor. Modelled: the standby's RAM, and the handful of lines that `BackupPeer` has around them.
 */
import { deferred } from '../../../src/deferred.js';
import { ReplicaReceiver } from '../../../src/epoch/replica.js';
import { type NativeReplica, native } from '../../../src/native.js';
import { FrameChannel } from '../../../src/wire/channel.js';
import type { Frame } from '../../../src/wire/frames.js';
import { decodeMessage } from '../../../src/wire/messages.js';
import { PAGE_ENTRY_BYTES } from './guest-memory.js';
import { Ear } from './heartbeats.js';
import type { SocketEnd } from './link.js';
import { Md5 } from './md5.js';
import type { World } from './world.js';

export interface BackupFaults {
  /** Acknowledges when the first chunk has arrived. */
  earlyAck: boolean;
  /** Goes on committing and acknowledging after its promotion. */
  deafPromotion: boolean;
  /** Only heartbeats prove that the primary lives, checkpoints do not. */
  countsHeartbeatsAlone: boolean;
}

export interface Promotion {
  readonly atMs: number;
  /** 0: nothing was committed, so that nothing is promoted. */
  readonly epoch: number;
  readonly counter: number;
  readonly ram: readonly number[];
}

/** No checkpoint of the model is near it. */
const STAGING_BYTES_MAX = 1024 ** 2;
const APPLY_MS = 2;

export class Backup {
  promotion: Promotion | undefined;
  readonly #channel: FrameChannel;
  readonly #replica: ReplicaReceiver;
  readonly #ram: number[];
  readonly #ear: Ear;
  #promoting = false;
  #ackedEarly = 0;

  constructor(
    private readonly world: World,
    socket: SocketEnd,
    private readonly options: { pages: number; term: number; faults: BackupFaults },
  ) {
    this.#ram = Array.from({ length: options.pages }, () => 0);
    this.#ear = new Ear(world, 'backup', () => void this.#promote());
    this.#replica = new ReplicaReceiver(STAGING_BYTES_MAX, {
      replica: this.#standby(),
      newHasher: () => new Md5(),
      applyStateDelta: (base, delta) => native.memory.applyStateDelta(base, delta),
      checkDeviceState: () => undefined,
      recycle: () => undefined,
      onApplyFailed: (error) => {
        throw error;
      },
    });
    this.#channel = new FrameChannel(socket.asSocket());
    this.#channel.receive({
      onFrame: (frame) => this.#onFrame(frame),
      onClosed: () => undefined,
    });
  }

  hearHeartbeat(): void {
    this.#ear.heard();
  }

  #onFrame({ type, epoch, payload }: Frame): void {
    if (this.#promoting && !this.options.faults.deafPromotion) return;
    if (!this.options.faults.countsHeartbeatsAlone) this.#ear.heard();
    switch (type) {
      case 'chunk':
        this.world.moment('arrived in part');
        this.#replica.onChunk(epoch, payload);
        if (this.options.faults.earlyAck && this.#ackedEarly < epoch) {
          this.#ackedEarly = epoch;
          this.#acknowledge(epoch);
        }
        return;
      case 'deviceState':
        this.#replica.onDeviceState(epoch, payload);
        return;
      case 'deviceStateDelta':
        this.#replica.onDeviceStateDelta(epoch, payload);
        return;
      case 'checkpoint':
        this.#replica.onCheckpoint(epoch, decodeMessage('checkpoint', payload));
        this.world.moment('committed');
        if (this.#ackedEarly < epoch) this.#acknowledge(epoch);
        return;
      default:
        throw new Error(`${type} from the primary`);
    }
  }

  #acknowledge(epoch: number): void {
    // Lost, it is met as the closed connection.
    this.#channel
      .send({ type: 'committed', epoch, term: this.options.term })
      .catch(() => undefined);
  }

  async #promote(): Promise<void> {
    this.#promoting = true;
    const atMs = this.world.nowMs;
    this.world.note('backup promotes');
    this.#replica.discardIncomplete();
    await this.#replica.finishApplying();
    const { committed } = this.#replica;
    this.promotion = {
      atMs,
      epoch: committed?.epoch ?? 0,
      counter: committed?.deviceState.readUInt32LE() ?? 0,
      ram: [...this.#ram],
    };
  }

  #standby(): Pick<NativeReplica, 'apply' | 'validate'> {
    const { world } = this;
    let applying = Promise.resolve();
    return {
      validate: (chunk) => {
        if (chunk.length === 0 || chunk.length % PAGE_ENTRY_BYTES !== 0) throw new Error('torn');
        return { dataPages: chunk.length / PAGE_ENTRY_BYTES, zeroPages: 0 };
      },
      apply: async (chunks) => {
        // One after the other, as on the replica's own thread.
        const before = applying;
        const done = deferred();
        applying = done.promise;
        await before;
        await world.sleep('backup', APPLY_MS);
        done.resolve();
        for (const chunk of chunks) {
          for (let at = 0; at < chunk.length; at += PAGE_ENTRY_BYTES) {
            this.#ram[chunk.readUInt16LE(at)] = chunk.readUInt32LE(at + 2);
          }
        }
        return { dataPages: chunks.length, zeroPages: 0, us: 0 };
      },
    };
  }
}
