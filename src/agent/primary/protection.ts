/**
 * One attempt at protection over one link: sync, hold, epochs, until it ends or fails.
 *
 * Owns the link. Once the first checkpoint is sent, only a confirmed goodbye or a newer term ends
 * the need to hold output; that is the session's business.
 */
import { monotonicMs } from '../../clock.js';
import { deferred } from '../../deferred.js';
import { decodeDigests } from '../../diskmirror/digest-frames.js';
import type { DiskSyncProgress } from '../../diskmirror/disk-mirror.js';
import { Commits } from '../../epoch/commits.js';
import { EpochLane } from '../../epoch/epoch-lane.js';
import { epochError } from '../../epoch/errors.js';
import type { Fault } from '../../epoch/faults.js';
import { SHIP_SILENCE_MS_MAX } from '../../epoch/limits.js';
import { EpochLoop } from '../../epoch/loop.js';
import { type PolicyOptions, policyOf } from '../../epoch/policy.js';
import type { EpochRecords } from '../../epoch/records.js';
import { Shipper } from '../../epoch/shipper.js';
import { type SyncProgress, syncMemory } from '../../epoch/sync.js';
import { messageOf } from '../../errors.js';
import { type HeartbeatSummary, silenceError } from '../../failover/heartbeat-paths.js';
import { Lease } from '../../failover/lease.js';
import { checkDeviceState } from '../../hypervisor/whole-state.js';
import { native } from '../../native.js';
import type { CommittedEpoch } from '../../netbuffer/output-hold.js';
import { wireError } from '../../wire/errors.js';
import type { Frame } from '../../wire/frames.js';
import { RECORDED_BYTES } from '../../wire/limits.js';
import type { Consistency, HeartbeatPolicy } from '../../wire/messages.js';
import { GOODBYE_TIMEOUT_MS, SWITCHOVER_TIMEOUT_MS } from '../limits.js';
import { LOG_EVENTS, type Log } from '../log.js';
import { refusalOf } from '../session/refusal.js';
import type { BackupLink } from './backup-link.js';
import type { HoldSet } from './hold-set.js';
import type { PrimaryGuest } from './primary-guest.js';

export interface ProtectionOptions {
  link: BackupLink;
  guest: PrimaryGuest;
  records: EpochRecords;
  term: number;
  policy: PolicyOptions;
  stagingBytes: number;
  /** The last epoch number that was used; numbers never come back in one session. */
  lastEpoch: number;
  consistency: Consistency;
  heartbeat: HeartbeatPolicy;
  faults: ReadonlySet<Fault>;
}

export interface ProtectionListener {
  log: Log;
  /** The disks come first, as they take longest. */
  onDisksSyncing(progress: DiskSyncProgress): void;
  onSyncing(progress: SyncProgress): void;
  onPauseFailed(): void;
  onCommitted(epoch: number): void;
}

export class Protection {
  readonly #commits = new Commits();
  readonly #goodbye = deferred();
  readonly #failed = deferred<never>();
  readonly #lease: Lease;
  #loop: EpochLoop | undefined;
  #lane: EpochLane | undefined;
  #failure: Error | undefined;
  #goodbyeSaid: Promise<void> | undefined;
  #refused = false;
  #handedOver = false;

  constructor(
    private readonly options: ProtectionOptions,
    private readonly listener: ProtectionListener,
  ) {
    this.#lease = new Lease(options.heartbeat);
    this.#goodbye.promise.catch(() => undefined);
    this.#failed.promise.catch(() => undefined);
    options.link.channel.receive({
      onFrame: (frame) => this.#onFrame(frame),
      onClosed: (error) => this.fail(error ?? wireError('WIRE_CLOSED', 'the backup hung up')),
    });
  }

  get peer(): string {
    return this.options.link.peer;
  }

  get heartbeat(): HeartbeatSummary {
    return this.options.link.heartbeats.summary;
  }

  get hasSaidGoodbye(): boolean {
    return this.#goodbyeSaid !== undefined;
  }

  /** The backup said no, in so many words. */
  get wasRefused(): boolean {
    return this.#refused;
  }

  get lastEpoch(): number {
    return this.#loop?.lastEpoch ?? this.options.lastEpoch;
  }

  /** Sync, then hold, then epochs; resolves after `stop()`, rejects with what made the attempt fail. */
  async run(): Promise<void> {
    try {
      await this.#run();
    } catch (error) {
      // What came first is the cause; a write on the cut link is its consequence.
      throw this.#failure ?? error;
    } finally {
      this.#lane?.close();
    }
  }

  /** Small epochs go by a lane, where the backup offers one. */
  get laneIsOpen(): boolean {
    return this.#lane?.isOpen === true;
  }

  async #run(): Promise<void> {
    const { guest, link, term, records, lastEpoch } = this.options;
    const shipper = new Shipper(guest.memory, link.channel, term);
    const firstEpoch = lastEpoch + 1;
    const { channel, replica } = link;
    // A first copy takes long, and does not itself notice that the link is gone.
    await Promise.race([
      guest.mirror.begin({ channel, term, replica, firstEpoch }, this.listener.onDisksSyncing),
      this.#failed.promise,
    ]);
    this.#throwIfFailed();
    const startedAtMs = performance.now();
    // Not before: where nothing differs, nothing travels.
    channel.limitSilence(SHIP_SILENCE_MS_MAX);
    const sync = await syncMemory(guest.memory, guest.pause, shipper, this.listener.onSyncing);
    const seconds = (performance.now() - startedAtMs) / 1000;
    this.listener.log.info(LOG_EVENTS.syncDone, { ...sync, seconds });
    const hold = await guest.hold(firstEpoch);
    this.#lane = await this.#openLane();
    this.#throwIfFailed();
    this.#loop = new EpochLoop(
      {
        term,
        policy: policyOf(this.options.policy),
        stagingBytes: Math.min(this.options.stagingBytes, guest.memory.ramBytes),
        lastEpoch,
        faults: this.options.faults,
      },
      {
        memory: guest.memory,
        pause: guest.pause,
        shipper,
        channel,
        disks: guest.mirror,
        commits: this.#commits,
        lane: this.#lane,
        records,
        newHasher: () => native.memory.hasher(),
        checkDeviceState,
        stateDelta: (base, state) => native.memory.stateDelta(base, state),
        guestLoad: (pausedMs) => guest.loadShare(pausedMs),
        ...(guest.disks.length === 0
          ? {}
          : { signal: (onClosed) => native.boundarySignal(onClosed) }),
        boundaries: [...hold.boundaries, guest.mirror.boundary],
        fireAtWaiting: (trigger, notBeforeMs, quietly) =>
          hold.fireAtWaiting(trigger, notBeforeMs, quietly),
        ...(this.options.consistency === 'timeline'
          ? {}
          : { fireAtInbound: (trigger, notBeforeMs) => hold.fireAtInbound(trigger, notBeforeMs) }),
        release: (committed) => this.#release(hold, committed),
        addresses: () => hold.addresses(),
        onEpoch: (record) => {
          this.listener.log.debug(LOG_EVENTS.epoch, record);
          this.listener.onCommitted(record.epoch);
        },
        onPauseFailed: (error, failures) => {
          this.listener.log.warn(LOG_EVENTS.pauseFailed, { error: messageOf(error), failures });
          this.listener.onPauseFailed();
        },
      },
    );
    await this.#loop.run();
    // A loop that waited for its next pause ends quietly; the attempt failed all the same.
    this.#throwIfFailed();
    if (this.#handedOver) await this.#failed.promise;
  }

  /** Without it epochs go by the channel, as large ones do anyway. */
  async #openLane(): Promise<EpochLane | undefined> {
    const { log } = this.listener;
    const { lane: address } = this.options.link;
    if (address === undefined) return undefined;
    const { port } = address;
    try {
      const lane = await EpochLane.connect(address, {
        onCommitted: (epoch) => this.#onLaneCommitted(epoch),
        onEnded: (why) => log.warn(LOG_EVENTS.lane, { port, open: false, why }),
      });
      log.info(LOG_EVENTS.lane, { port, open: true });
      return lane;
    } catch (error) {
      log.warn(LOG_EVENTS.lane, { port, open: false, why: messageOf(error) });
      return undefined;
    }
  }

  #onLaneCommitted(epoch: number): void {
    try {
      this.#commits.acknowledge(epoch);
    } catch (error) {
      this.fail(error as Error);
    }
  }

  /** The backup has heard a heartbeat that was sent at `sentAtMs` (CLOCK_MONOTONIC). */
  heard(sentAtMs: number): void {
    if (this.#failure !== undefined) return;
    this.#lease.heard(sentAtMs);
    if (this.options.consistency === 'timeline') this.options.guest.passUntil(this.#lease.untilMs);
    else this.#lane?.leaseUntil(this.#lease.untilMs);
  }

  /**
   * Nothing leaves once the backup may have taken over, not even what it has acknowledged: two would be
   * heard. Under timeline output passes by the lease alone.
   */
  async #release(hold: HoldSet, committed: CommittedEpoch): Promise<number> {
    if (this.options.consistency === 'timeline') return 0;
    while (!this.#lease.holds(monotonicMs())) {
      await Promise.race([this.#lease.renewed(), this.#failed.promise]);
    }
    return hold.release(committed);
  }

  /** Ends the epochs after the one in progress, without telling the backup: it goes on being heard. */
  stop(): void {
    this.#loop?.stop();
  }

  /** The open epoch has its first held packet. */
  outputWaits(openEpoch: number): void {
    this.#loop?.outputWaits(openEpoch);
  }

  inboundBegan(): void {
    this.#loop?.inboundBegan();
  }

  holdFills(): void {
    this.#loop?.holdFills();
  }

  /** Resolves with the epoch of a checkpoint that begins after this call, once it is committed. @throws EPOCH_ENDED */
  checkpointNow(): Promise<number> {
    if (this.#loop === undefined) {
      return Promise.reject(epochError('EPOCH_ENDED', 'the first checkpoint is still to come'));
    }
    return this.#loop.checkpointNow();
  }

  /** Every heartbeat path is silent. A backup that is ending its standby has other things to do. */
  suspect(silentMs: number): void {
    if (this.#goodbyeSaid !== undefined) return;
    this.fail(silenceError(silentMs));
  }

  /** The attempt is over: what waits is rejected, the link is cut. Idempotent. */
  fail(error: Error): void {
    this.#lane?.close();
    this.#commits.fail(error);
    this.#goodbye.reject(error);
    this.#failure ??= error;
    this.#failed.reject(error);
    // What passed by itself stops now; what waited for commits does so anyway.
    if (this.options.consistency === 'timeline') this.options.guest.passUntil(0);
    this.stop();
    this.options.link.heartbeats.close();
    this.options.link.channel.destroy(error);
  }

  /** Tells the backup that this host will not go on, and hangs up once that is sent. */
  async sayYield(reason: string): Promise<void> {
    const { channel, heartbeats } = this.options.link;
    this.stop();
    if (channel.isClosed) return;
    await channel.sendMessage('yield', 'yield', { reason }, { term: this.options.term });
    channel.end();
    heartbeats.close();
  }

  /** Tells the backup to go on with the guest, which stands still; its answer ends this attempt. */
  async handOver(): Promise<void> {
    const { link, term } = this.options;
    this.#handedOver = true;
    this.stop();
    const message = { reason: 'switchover', planned: true };
    await link.channel.sendMessage('yield', 'yield', message, { term });
    link.channel.limitSilence(SWITCHOVER_TIMEOUT_MS);
  }

  /** Asks the backup to destroy its standby; resolves when it says that it did. */
  sayGoodbye(reason: string): Promise<void> {
    this.#goodbyeSaid ??= this.#sayGoodbye(reason);
    return this.#goodbyeSaid;
  }

  async #sayGoodbye(reason: string): Promise<void> {
    const { channel, heartbeats } = this.options.link;
    this.stop();
    await channel.sendMessage('goodbye', 'goodbye', { reason }, { term: this.options.term });
    const timer = setTimeout(
      () => this.#goodbye.reject(wireError('WIRE_TIMED_OUT', 'no answer to goodbye')),
      GOODBYE_TIMEOUT_MS,
    );
    try {
      await this.#goodbye.promise;
    } finally {
      clearTimeout(timer);
      heartbeats.close();
      channel.end();
    }
  }

  #onFrame(frame: Frame): void {
    const { term } = this.options;
    if (frame.type === 'superseded' || frame.term > term) {
      const facts = { term: frame.term };
      this.fail(wireError('WIRE_STALE_TERM', `the backup acted on term ${frame.term}`, { facts }));
      return;
    }
    const { mirror } = this.options.guest;
    switch (frame.type) {
      case 'committed':
        this.#commits.acknowledge(frame.epoch);
        if (frame.payload.length === RECORDED_BYTES) {
          mirror.recorded(Number(frame.payload.readBigUInt64LE()));
        }
        return;
      case 'diskDigests':
        mirror.onDigests(decodeDigests(frame.payload));
        return;
      case 'refuse':
        this.#refused = true;
        this.fail(refusalOf(frame, 'the backup'));
        return;
      case 'goodbye':
        this.#goodbye.resolve();
        return;
      default:
        throw wireError('WIRE_UNEXPECTED', `${frame.type} from the backup`);
    }
  }

  #throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }
}
