/**
 * What the backup holds for one connected primary: the standby, the replica being kept current and the
 * heartbeats. It outlives the connection: the committed checkpoint is what a takeover needs.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { monotonicMs } from '../../clock.js';
import type { DiskRecords } from '../../diskmirror/disk-record.js';
import { diskError } from '../../diskmirror/errors.js';
import { SHIP_CHUNK_BYTES } from '../../epoch/limits.js';
import { ReplicaReceiver } from '../../epoch/replica.js';
import { messageOf } from '../../errors.js';
import { HeartbeatPaths } from '../../failover/heartbeat-paths.js';
import type { Hypervisor } from '../../hypervisor/connection.js';
import { checkDeviceState } from '../../hypervisor/whole-state.js';
import { type NativeBackupLane, native } from '../../native.js';
import { BufferPool } from '../../wire/buffer-pool.js';
import type { FrameChannel } from '../../wire/channel.js';
import { wireError } from '../../wire/errors.js';
import type { Frame } from '../../wire/frames.js';
import { DEVICE_STATE_BYTES_MAX, LANE_SECRET_BYTES, RECORDED_BYTES } from '../../wire/limits.js';
import {
  type Consistency,
  commonVersion,
  decodeMessage,
  type Message,
} from '../../wire/messages.js';
import { hostOfPeer } from '../../wire/peer-host.js';
import { CHUNK_BUFFERS_KEPT, SYNC_PATIENCE } from '../limits.js';
import { LOG_EVENTS, type Log } from '../log.js';
import { notePath } from '../session/heartbeat-notes.js';
import { refuse } from '../session/refusal.js';
import type { DiskStatus, Reason, ReplicaSummary } from '../status.js';
import { BackupDisks } from './backup-disks.js';
import { BackupStandby } from './backup-standby.js';
import { withStartPermit } from './start-permit.js';

export interface BackupPeerListener {
  term: number;
  log: Log;
  runDir: string;
  disks: { records: DiskRecords; replicaDir: string };
  onFirstCommit(): void;
  /** The checkpoint connection ended. */
  onGone(error: Error | undefined): void;
  onSilent(silentMs: number): void;
  onStall(lateMs: number): void;
  /** `planned`: the guest stands still on its host, which waits for an answer. */
  onYield(planned: boolean): void;
  onGoodbye(reason: string): Promise<void>;
  onStandbyDied(reason: string): void;
  /** The replica’s disks cannot be kept current. */
  onDisksFailed(error: Error): void;
}

export interface PromotionOutcome {
  epoch: number;
  diskEpoch?: number;
  lastHeardAtMs: number;
  resumedAtMs: number;
  discardedBytes: number;
  phasesMs: Record<string, number>;
}

/** A checkpoint holds every page at most once, plus the chunks' headers and run tables. */
const STAGING_PER_RAM = 1.02;

export class BackupPeer {
  readonly heartbeats: HeartbeatPaths;
  readonly #receiver: ReplicaReceiver;
  readonly #lane: NativeBackupLane | undefined;
  /** Offered to the primary with the WELCOME. */
  readonly #laneSecret = randomBytes(LANE_SECRET_BYTES);
  #promoting = false;

  private constructor(
    private readonly channel: FrameChannel,
    private readonly standby: BackupStandby,
    private readonly disks: BackupDisks | undefined,
    pool: BufferPool,
    private readonly hello: Message<'helloCheckpoints'>,
    private readonly listener: BackupPeerListener,
  ) {
    const { identity, heartbeat, heartbeatPaths } = hello;
    const ramBytes = identity.ramBlocks.reduce((total, { bytes }) => total + bytes, 0);
    this.#receiver = new ReplicaReceiver(ramBytes * STAGING_PER_RAM + DEVICE_STATE_BYTES_MAX, {
      replica: standby.replica,
      newHasher: () => native.memory.hasher(),
      applyStateDelta: (base, delta) => native.memory.applyStateDelta(base, delta),
      checkDeviceState,
      recycle: (chunk) => pool.recycle(chunk),
      onApplyFailed: (error) => listener.onStandbyDied(error.message),
    });
    // What a checkpoint must say of disks is for JavaScript to verify.
    this.#lane = disks === undefined ? this.#openLane() : undefined;
    const term = () => listener.term;
    const paths = Array.from({ length: heartbeatPaths }, () => undefined);
    const options = { role: 'backup' as const, policy: heartbeat, paths, term };
    this.heartbeats = new HeartbeatPaths(options, {
      onSilent: listener.onSilent,
      onStall: listener.onStall,
      onPath: (path) => notePath(listener.log, path),
      patience: () => (this.#receiver.committed === undefined ? SYNC_PATIENCE : 1),
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
    const pool = new BufferPool(SHIP_CHUNK_BYTES, CHUNK_BUFFERS_KEPT);
    const { disks, standby } = await startReplica(hypervisor, channel, hello, listener, pool);
    const peer = new BackupPeer(channel, standby, disks, pool, hello, listener);
    const { record, fresh } = disks?.answer ?? { record: { state: 'none' as const }, fresh: [] };
    try {
      const welcome = { version, record, fresh: [...fresh], ...peer.#laneOffer };
      await channel.sendMessage('welcome', 'welcomeReplica', welcome, { term: listener.term });
    } catch (error) {
      await peer.destroy();
      throw error;
    }
    channel.allocateWith((bytes) => pool.allocate(bytes));
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
    const disks = this.disks === undefined ? {} : { disks: this.disks.summary };
    return { committedEpoch: committed?.epoch ?? 0, appliedEpoch, syncBytes, ...disks };
  }

  get diskStatus(): DiskStatus[] | undefined {
    return this.disks?.status;
  }

  /**
   * Finishes applying the committed epoch, throws away the incomplete one, loads, announces and
   * resumes, under `term`. What still arrives from the primary is ignored from the first moment.
   */
  async promote(term: number): Promise<PromotionOutcome> {
    this.#hearNoMore();
    const lastHeardAtMs = this.heartbeats.lastHeardAtMs;
    const startedAtMs = monotonicMs();
    const discardedBytes = this.#receiver.discardIncomplete();
    const [diskEpoch] = await Promise.all([this.disks?.finish(), this.#receiver.finishApplying()]);
    const { committed } = this.#receiver;
    if (committed === undefined) throw wireError('WIRE_UNEXPECTED', 'nothing is committed');
    if (diskEpoch !== undefined && diskEpoch !== committed.epoch) {
      const message = `the disks are at epoch ${diskEpoch}, memory at ${committed.epoch}`;
      throw diskError('DISK_LOG_INCOMPLETE', message, { epoch: committed.epoch });
    }
    const applyMs = monotonicMs() - startedAtMs;
    await this.disks?.goLive(term, committed.epoch);
    const liveMs = monotonicMs() - startedAtMs - applyMs;
    const { deviceState, addresses } = committed;
    const { phasesMs, resumedAtMs } = await this.standby.promote(deviceState, addresses);
    return {
      epoch: committed.epoch,
      ...(diskEpoch === undefined ? {} : { diskEpoch }),
      lastHeardAtMs,
      resumedAtMs,
      discardedBytes,
      phasesMs: { applyMs, liveMs, ...phasesMs },
    };
  }

  get consistency(): Consistency {
    return this.hello.consistency;
  }

  /** Answers the primary no more and returns when its output must have stopped by itself; at once when it waits for commits anyway. */
  async outlastLease(): Promise<void> {
    const { consistency, heartbeat } = this.hello;
    if (consistency !== 'timeline') return;
    this.#hearNoMore();
    this.heartbeats.close();
    await delay(heartbeat.intervalMs * heartbeat.missedMax);
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

  /** Tells the primary, if it is still connected, why this host gives up. */
  async sayFailed(reason: Reason): Promise<void> {
    if (!this.channel.isClosed) await refuse(this.channel, reason, this.listener.term);
  }

  async destroy(): Promise<void> {
    this.#hearNoMore();
    this.heartbeats.close();
    this.#receiver.discardIncomplete();
    await this.#receiver.finishApplying().catch(() => undefined);
    await this.standby.destroy();
    await this.disks?.close(this.listener.log);
  }

  /** A guest without disks; where no port is to be had, epochs go by the channel. */
  #openLane(): NativeBackupLane | undefined {
    const { channel, listener, standby } = this;
    try {
      const lane = native.lane.listen({
        host: channel.localHost,
        secret: this.#laneSecret,
        replica: standby.replica.reference,
        onCommitted: (epoch) => this.#receiver.laneApplied(epoch),
        onFailed: (code, why) => this.#onLaneFailed(code, why),
      });
      this.#receiver.useLane(lane);
      return lane;
    } catch (error) {
      listener.log.warn(LOG_EVENTS.lane, { open: false, why: messageOf(error) });
      return undefined;
    }
  }

  get #laneOffer(): Pick<Message<'welcomeReplica'>, 'lane'> {
    if (this.#lane === undefined) return {};
    return { lane: { port: this.#lane.port, secret: this.#laneSecret.toString('hex') } };
  }

  #onLaneFailed(code: string, why: string): void {
    if (code === 'APPLY_FAILED') this.#receiver.laneApplyFailed(why);
    else this.channel.destroy(wireError('WIRE_UNEXPECTED', `lane: ${why}`));
  }

  /** From its return nothing of the primary's is committed any more. */
  #hearNoMore(): void {
    this.#promoting = true;
    this.#lane?.stop();
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
      case 'diskChunk':
        return this.#disks.receiver.onChunk(epoch, payload);
      case 'compareDisks':
        return this.#disks.sendDigests(decodeMessage('compareDisks', payload), this.channel);
      case 'deviceState':
        return this.#receiver.onDeviceState(epoch, payload);
      case 'deviceStateDelta':
        return this.#receiver.onDeviceStateDelta(epoch, payload);
      case 'checkpoint':
        return this.#commit(epoch, decodeMessage('checkpoint', payload));
      case 'yield':
        return this.listener.onYield(decodeMessage('yield', payload).planned === true);
      case 'goodbye':
        return this.listener.onGoodbye(decodeMessage('goodbye', payload).reason);
      default:
        throw wireError('WIRE_UNEXPECTED', `${frame.type} from the primary`);
    }
  }

  /** What the disks hold durably by now, for the primary to know what it must remember. */
  #recordedEpoch(): Buffer {
    if (this.disks === undefined) return Buffer.alloc(0);
    const bytes = Buffer.alloc(RECORDED_BYTES);
    bytes.writeBigUInt64LE(BigInt(this.disks.receiver.recordedEpoch));
    return bytes;
  }

  get #disks(): BackupDisks {
    if (this.disks === undefined) throw wireError('WIRE_UNEXPECTED', 'the HELLO named no disks');
    return this.disks;
  }

  /** All of it is verified before any of it counts. */
  #commit(epoch: number, message: Message<'checkpoint'>): void | Promise<void> {
    const first = this.#receiver.committed === undefined;
    if (message.disks.length > 0 || this.disks !== undefined) {
      this.#disks.receiver.verify(epoch, message.disks);
    }
    this.#receiver.onCheckpoint(epoch, message);
    const lag = this.disks?.receiver.commit(epoch);
    // A lost acknowledgement is met as the closed connection; the checkpoint stays committed.
    this.channel
      .send({ type: 'committed', epoch, term: this.listener.term }, this.#recordedEpoch())
      .catch(() => undefined);
    if (first) this.listener.onFirstCommit();
    return lag;
  }
}

/** Disks first, as a standby opens them; nothing runs on failure. */
async function startReplica(
  hypervisor: Hypervisor,
  channel: FrameChannel,
  hello: Message<'helloCheckpoints'>,
  listener: BackupPeerListener,
  pool: BufferPool,
): Promise<{ disks: BackupDisks | undefined; standby: BackupStandby }> {
  const { term, log } = listener;
  const disks = await BackupDisks.open(hello, {
    ...listener.disks,
    term,
    log,
    peerHost: hostOfPeer(channel.peer),
    recycle: (chunk) => pool.recycle(chunk),
    onFailed: listener.onDisksFailed,
  });
  try {
    const { runDir, onStandbyDied: onDied } = listener;
    const places = disks?.standbyDisks ?? [];
    const standby = await withStartPermit(runDir, hello.domain, () =>
      BackupStandby.start(hypervisor, hello, places, { runDir, onDied }),
    );
    return { disks, standby };
  } catch (error) {
    await disks?.close(log);
    throw error;
  }
}
