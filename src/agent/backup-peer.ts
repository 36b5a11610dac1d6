/**
 * What the backup holds for one connected primary: the standby, the replica being kept current and the
 * heartbeats. It outlives the connection: the committed checkpoint is what a takeover needs.
 */
import { monotonicMs } from '../clock.js';
import { SHIP_CHUNK_BYTES } from '../epoch/limits.js';
import { ReplicaReceiver } from '../epoch/replica.js';
import { HeartbeatPaths } from '../failover/heartbeat-paths.js';
import type { Hypervisor } from '../hypervisor/connection.js';
import { checkDeviceState } from '../hypervisor/device-state.js';
import { native } from '../native.js';
import { BufferPool } from '../wire/buffer-pool.js';
import type { FrameChannel } from '../wire/channel.js';
import { wireError } from '../wire/errors.js';
import type { Frame } from '../wire/frames.js';
import { DEVICE_STATE_BYTES_MAX } from '../wire/limits.js';
import { commonVersion, decodeMessage, type Message } from '../wire/messages.js';
import { BackupStandby } from './backup-standby.js';
import { CHUNK_BUFFERS_KEPT, PATIENCE } from './limits.js';
import type { ReplicaSummary } from './status.js';

export interface BackupPeerListener {
  term: number;
  onFirstCommit(): void;
  /** The checkpoint connection ended. */
  onGone(error: Error | undefined): void;
  onSilent(silentMs: number): void;
  onStall(lateMs: number): void;
  onYield(): void;
  onGoodbye(): Promise<void>;
  onStandbyDied(reason: string): void;
}

export interface PromotionOutcome {
  epoch: number;
  lastHeardAtMs: number;
  resumedAtMs: number;
  discardedBytes: number;
  phasesMs: Record<string, number>;
}

/** A checkpoint holds every page at most once, plus the chunks' headers and run tables. */
const STAGING_PER_RAM = 1.02;

export class BackupPeer {
  readonly heartbeats: HeartbeatPaths;
  readonly #pool = new BufferPool(SHIP_CHUNK_BYTES, CHUNK_BUFFERS_KEPT);
  readonly #receiver: ReplicaReceiver;
  #promoting = false;

  private constructor(
    private readonly channel: FrameChannel,
    private readonly standby: BackupStandby,
    { identity, heartbeat, heartbeatPaths }: Message<'helloCheckpoints'>,
    private readonly listener: BackupPeerListener,
  ) {
    const ramBytes = identity.ramBlocks.reduce((total, { bytes }) => total + bytes, 0);
    this.#receiver = new ReplicaReceiver(ramBytes * STAGING_PER_RAM + DEVICE_STATE_BYTES_MAX, {
      replica: standby.replica,
      newHasher: () => native.memory.hasher(),
      recycle: (chunk) => this.#pool.recycle(chunk),
      onApplyFailed: (error) => listener.onStandbyDied(error.message),
    });
    this.heartbeats = new HeartbeatPaths(heartbeat, heartbeatPaths, () => listener.term, {
      onSilent: listener.onSilent,
      onStall: listener.onStall,
      patience: () => (this.#receiver.committed === undefined ? PATIENCE : 1),
    });
  }

  /** Starts the standby, says WELCOME and begins to listen. Throws a typed error to refuse with. */
  static async begin(
    hypervisor: Hypervisor,
    channel: FrameChannel,
    hello: Message<'helloCheckpoints'>,
    listener: BackupPeerListener,
  ): Promise<BackupPeer> {
    const version = commonVersion(hello.versions);
    if (version === undefined) {
      throw wireError('WIRE_VERSION', `the primary speaks versions ${hello.versions.join(', ')}`);
    }
    const standby = await BackupStandby.start(hypervisor, hello, listener.onStandbyDied);
    const peer = new BackupPeer(channel, standby, hello, listener);
    try {
      await channel.sendMessage('welcome', 'welcome', { version }, { term: listener.term });
    } catch (error) {
      await peer.destroy();
      throw error;
    }
    channel.allocateWith((bytes) => peer.#pool.allocate(bytes));
    channel.receive({
      onFrame: (frame) => peer.#onFrame(frame),
      onClosed: (error) => listener.onGone(error),
    });
    return peer;
  }

  get address(): string {
    return this.channel.peer;
  }

  get qemuPid(): number {
    return this.standby.qemuPid;
  }

  get summary(): ReplicaSummary {
    const { committed, appliedEpoch, syncBytes } = this.#receiver;
    return { committedEpoch: committed?.epoch ?? 0, appliedEpoch, syncBytes };
  }

  /**
   * Finishes applying the committed epoch, throws away the incomplete one, loads, announces and
   * resumes. What still arrives from the primary is ignored from the first moment.
   */
  async promote(): Promise<PromotionOutcome> {
    this.#promoting = true;
    const lastHeardAtMs = this.heartbeats.lastHeardAtMs;
    const startedAtMs = monotonicMs();
    const discardedBytes = this.#receiver.discardIncomplete();
    await this.#receiver.finishApplying();
    const { committed } = this.#receiver;
    if (committed === undefined) throw wireError('WIRE_UNEXPECTED', 'nothing is committed');
    const applyMs = monotonicMs() - startedAtMs;
    const { deviceState, addresses } = committed;
    const { phasesMs, resumedAtMs } = await this.standby.promote(deviceState, addresses);
    return {
      epoch: committed.epoch,
      lastHeardAtMs,
      resumedAtMs,
      discardedBytes,
      phasesMs: { applyMs, ...phasesMs },
    };
  }

  keepDefinition(): Promise<void> {
    return this.standby.keepDefinition();
  }

  /** Tells the primary, if it is still connected, that it is superseded, and hangs up. */
  async saySuperseded(term: number): Promise<void> {
    this.heartbeats.close();
    if (this.channel.isClosed) return;
    await this.channel.send({ type: 'superseded', epoch: 0, term });
    this.channel.end();
  }

  async destroy(): Promise<void> {
    this.#promoting = true;
    this.heartbeats.close();
    this.#receiver.discardIncomplete();
    await this.#receiver.finishApplying().catch(() => undefined);
    await this.standby.destroy();
  }

  #onFrame(frame: Frame): void | Promise<void> {
    if (this.#promoting) return;
    const { epoch, payload } = frame;
    if (frame.term !== this.listener.term) {
      throw wireError('WIRE_STALE_TERM', `${frame.type} of term ${frame.term}`);
    }
    switch (frame.type) {
      case 'syncChunk':
        return this.#receiver.onSyncChunk(payload);
      case 'chunk':
        return this.#receiver.onChunk(epoch, payload);
      case 'deviceState':
        // What the standby would choke on must never be committed.
        checkDeviceState(payload);
        return this.#receiver.onDeviceState(epoch, payload);
      case 'checkpoint':
        return this.#commit(epoch, decodeMessage('checkpoint', payload));
      case 'yield':
        return this.listener.onYield();
      case 'goodbye':
        return this.listener.onGoodbye();
      default:
        throw wireError('WIRE_UNEXPECTED', `${frame.type} from the primary`);
    }
  }

  #commit(epoch: number, message: Message<'checkpoint'>): void {
    const first = this.#receiver.committed === undefined;
    this.#receiver.onCheckpoint(epoch, message);
    // A lost acknowledgement is met as the closed connection; the checkpoint stays committed.
    this.channel
      .send({ type: 'committed', epoch, term: this.listener.term })
      .catch(() => undefined);
    if (first) this.listener.onFirstCommit();
  }
}
