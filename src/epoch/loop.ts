/**
 * The epoch loop: pause and capture, ship, wait for the commit, release. One at a time, so at
 * most one closed epoch is unacknowledged, while the guest runs on.
 *
 * It holds no protocol state: the session gives it a channel and tells it about commits. When the
 * next pause begins is the pacer's business.
 */
import { monotonicMs } from '../clock.js';
import { type Deferred, deferred } from '../deferred.js';
import { messageOf } from '../errors.js';
import type { PauseSource } from '../hypervisor/pause-source.js';
import type {
  NativeBoundary,
  NativeCapture,
  NativeGuestMemory,
  NativeHasher,
  NativeTrigger,
} from '../native.js';
import { type CommittedEpoch, committedEpoch } from '../netbuffer/output-hold.js';
import type { FrameChannel } from '../wire/channel.js';
import type { EpochLog, Message } from '../wire/messages.js';
import { Anticipation } from './anticipation.js';
import { type CaptureRequest, EpochCapture, type PausedCapture } from './capture.js';
import type { Commits } from './commits.js';
import type { EpochLane } from './epoch-lane.js';
import { recordOf } from './epoch-record.js';
import { epochError } from './errors.js';
import { type Fault, spoilState } from './faults.js';
import { PAUSE_FAILURES_MAX, SHIP_SILENCE_MS_MAX } from './limits.js';
import { Pacer } from './pacer.js';
import type { EpochPolicy } from './policy.js';
import type { EpochRecord, EpochRecords } from './records.js';
import { addSent, nothingShipped, type Shipped, type Shipper } from './shipper.js';

export interface EpochLoopDependencies {
  memory: NativeGuestMemory;
  pause: PauseSource;
  shipper: Shipper;
  channel: FrameChannel;
  commits: Commits;
  /** A faster way for small epochs. */
  lane?: EpochLane | undefined;
  records: EpochRecords;
  newHasher: () => NativeHasher;
  /** Throws unless the device state is whole. */
  checkDeviceState: (deviceState: Buffer) => void;
  /** The difference, where it is worth its while. */
  stateDelta: (base: Buffer, state: Buffer) => Buffer | undefined;
  boundaries: readonly NativeBoundary[];
  /** Makes a boundary that calls back when an epoch has closed. Absent where no disk has to be proven. */
  signal?: (onClosed: (epoch: number) => void) => NativeBoundary;
  disks: EpochDisks;
  /** Part of the time outside of pauses in which the guest worked, 0 to 1; told how long it was paused in all. */
  guestLoad: (pausedMs: number) => number;
  /**
   * The next output that waits at `notBeforeMs` (CLOCK_MONOTONIC) or later fires `trigger`; `quietly`: and is told
   * of here only if that did not begin it.
   */
  fireAtWaiting: (trigger: NativeTrigger, notBeforeMs: number, quietly: boolean) => void;
  /** The next question to the guest does, in the same way. Absent where output does not wait. */
  fireAtInbound?: (trigger: NativeTrigger, notBeforeMs: number) => void;
  /** Releases the output of a committed epoch; resolves with the number of packets. */
  release: (committed: CommittedEpoch) => Promise<number>;
  addresses: () => Message<'checkpoint'>['addresses'];
  onEpoch: (record: EpochRecord) => void;
  onPauseFailed: (error: Error, failures: number) => void;
}

/** The disks' part of an epoch. */
export interface EpochDisks {
  /**
   * Called when the guest stands still: resolves with what the checkpoint must say of the disks once all of the
   * epoch's writes are sent; rejects unless every mirror was whole at the boundary.
   */
  proveEpoch(epoch: number): Promise<EpochLog[]>;
}

export interface EpochLoopOptions {
  term: number;
  policy: EpochPolicy;
  /** What one pause can copy. */
  stagingBytes: number;
  /** The last epoch that was closed before this loop; numbers never come back in one session. */
  lastEpoch: number;
  faults: ReadonlySet<Fault>;
}

/** Every how many checkpoints the fault `drop-range` strikes. */
const DROP_RANGE_EVERY = 10;

/** It drops the first range one time, the second the next, and so on up to this many. */
const DROP_RANGE_AMONG = 8;

/** The epoch that the next pause closes. */
interface NextEpoch {
  epoch: number;
  totals: Shipped;
  hasher: NativeHasher;
  capture: EpochCapture;
  /** Its commit; waited for from the beginning, as it may come before JavaScript hears of the pause's end. */
  committed: Promise<void>;
  /** Needs nothing of JavaScript before its pause is over: it need not even hear that it has begun. */
  bySelf: boolean;
}

/** CLOCK_MONOTONIC ms of an epoch's way, and how long encoding held it up. */
interface Way {
  resumed: number;
  shipped: number;
  sent: number;
  committed: number;
}

export class EpochLoop {
  readonly #pacer: Pacer;
  readonly #boundaries: readonly NativeBoundary[];
  /** What the disks must show for the epoch whose boundary was just marked. */
  #proof: { epoch: number; logs: Promise<EpochLog[]> } | undefined;
  #epoch: number;
  #next: NextEpoch | undefined;
  #stopped = false;
  #pauseFailures = 0;
  /** What the backup has, as its checkpoint is the last that was committed. */
  #committedState: Buffer | undefined;
  readonly #anticipation = new Anticipation();
  /** A question began the pause that comes now, or has come. */
  #anticipated = false;
  /** Those who wait for the commit of a checkpoint that has not begun yet. */
  #asked: Deferred<number> | undefined;

  constructor(
    private readonly options: EpochLoopOptions,
    private readonly dependencies: EpochLoopDependencies,
  ) {
    this.#epoch = options.lastEpoch;
    const { memory, guestLoad, boundaries, signal } = dependencies;
    const closed = signal?.((epoch) => void this.#proveDisks(epoch));
    this.#boundaries = closed === undefined ? boundaries : [...boundaries, closed];
    const { stagingBytes } = options;
    const mayOverflow = stagingBytes < memory.ramBytes;
    this.#pacer = new Pacer(options.policy, {
      stagingBytes,
      guestLoad,
      lookAtDirty: mayOverflow
        ? async () => (await memory.writtenPages()) * memory.pageBytes
        : undefined,
    });
  }

  /** The newest epoch that a pause closed, or was to close. */
  get lastEpoch(): number {
    return this.#epoch;
  }

  /** Runs until `stop()`; rejects with what made going on impossible. Output stays held then. */
  async run(): Promise<void> {
    try {
      while (!this.#stopped) {
        await this.#pacer.untilNextPause();
        if (this.#stopped) break;
        await this.checkpoint();
      }
    } finally {
      this.#asked?.reject(epochError('EPOCH_ENDED', 'protection ended before the checkpoint'));
      await this.dependencies.pause.forgoPause?.();
    }
  }

  /** Ends the loop after the checkpoint in progress. */
  stop(): void {
    this.#stopped = true;
    this.#pacer.stop();
  }

  /** `openEpoch` has its first held packet. */
  outputWaits(openEpoch: number): void {
    this.#pacer.outputWaits(openEpoch);
    this.#goThroughWithIt();
  }

  /** A question to the guest has begun the next pause. */
  inboundBegan(): void {
    this.#anticipated = true;
    this.#goThroughWithIt();
  }

  /** A limit of the output hold is near. */
  holdFills(): void {
    this.#pacer.holdFills();
  }

  /**
   * Asks for a checkpoint of the guest as it is now; resolves with its epoch when it is committed.
   * @throws EPOCH_ENDED when the loop ends before that
   */
  checkpointNow(): Promise<number> {
    if (this.#stopped) {
      return Promise.reject(epochError('EPOCH_ENDED', 'protection has ended'));
    }
    this.#asked ??= deferred<number>();
    this.#pacer.ask();
    return this.#asked.promise;
  }

  /** One whole epoch, now; undefined when the pause failed in a way that lost nothing. */
  async checkpoint(): Promise<EpochRecord | undefined> {
    const { channel } = this.dependencies;
    const asked = this.#asked;
    this.#asked = undefined;
    try {
      const record = await this.#checkpoint();
      if (record !== undefined) asked?.resolve(record.epoch);
      else if (asked !== undefined) this.#askAgain(asked);
      return record;
    } catch (error) {
      asked?.reject(epochError('EPOCH_ENDED', messageOf(error), { cause: error }));
      throw error;
    } finally {
      channel.limitSilence(0);
    }
  }

  /** Its pause failed: the next one counts for those who asked, too. */
  #askAgain(asked: Deferred<number>): void {
    this.checkpointNow().then(asked.resolve, asked.reject);
  }

  async #checkpoint(): Promise<EpochRecord | undefined> {
    const { memory, records, release, onEpoch } = this.dependencies;
    const next = this.#nextEpoch();
    this.#next = undefined;
    const { epoch, totals } = next;
    const begunAtMs = this.#begunAtMs();
    const agoMs = monotonicMs() - begunAtMs;
    const waitedMs = this.#pacer.pauseBegins(epoch, performance.now() - agoMs);
    const paused = await this.#pause(next);
    if (paused === undefined) {
      this.#pacer.pauseFailed();
      return undefined;
    }
    if (this.options.faults.has('release-early')) await release(committedEpoch(epoch));
    const way = await (paused.capture.sent === undefined
      ? this.#byChannel(next, paused)
      : this.#byLane(next, paused.capture));
    this.#committedState = paused.deviceState;
    const releasedPackets = await release(committedEpoch(epoch));
    const releasedAtMs = monotonicMs();
    const record = recordOf(paused, totals, releasedPackets, {
      waited: waitedMs,
      total: releasedAtMs - begunAtMs,
      encode: totals.encodeMs,
      ship: way.shipped - way.resumed - totals.encodeMs,
      prove: way.sent - way.shipped,
      commit: way.committed - way.sent,
      release: releasedAtMs - way.committed,
    });
    this.#pacer.epochDone(record, memory.pageBytes);
    if (this.#anticipated) this.#anticipation.learn(releasedPackets > 0);
    this.#anticipated = false;
    records.add(record);
    onEpoch(record);
    this.#prepareNext();
    await this.#pauseSettled(paused);
    return record;
  }

  /** Sends it; resolves when it is committed. */
  async #byChannel(next: NextEpoch, paused: PausedCapture): Promise<Way> {
    const { epoch, committed } = next;
    const { release, lane } = this.dependencies;
    const resumedAtMs = monotonicMs();
    const shippedAtMs = await this.#ship(next, paused);
    const sentAtMs = monotonicMs();
    if (this.options.faults.has('release-when-shipped')) await release(committedEpoch(epoch));
    await committed;
    lane?.setBase(paused.deviceState);
    const committedAtMs = monotonicMs();
    return { resumed: resumedAtMs, shipped: shippedAtMs, sent: sentAtMs, committed: committedAtMs };
  }

  /** It has gone out with the capture; resolves when it is committed. */
  async #byLane({ totals, committed }: NextEpoch, capture: NativeCapture): Promise<Way> {
    const { sent, pausedAtNs, pauseUs } = capture;
    if (sent === undefined) throw new TypeError('a capture that was not sent');
    addSent(totals, sent);
    this.#limitSilence();
    await committed;
    const sentAtMs = Number(sent.atNs) / 1e6;
    const resumedAtMs = Math.min(sentAtMs, Number(pausedAtNs) / 1e6 + pauseUs / 1000);
    const committedAtMs = this.dependencies.lane?.committedAtMs ?? monotonicMs();
    return { resumed: resumedAtMs, shipped: sentAtMs, sent: sentAtMs, committed: committedAtMs };
  }

  #nextEpoch(): NextEpoch {
    if (this.#next !== undefined) return this.#next;
    const { memory, pause, shipper, newHasher, commits } = this.dependencies;
    this.#epoch += 1;
    const epoch = this.#epoch;
    const totals = nothingShipped();
    const hasher = newHasher();
    const committed = commits.wait(epoch);
    // Met when the epoch is on its way; of a pause that fails nobody asks.
    committed.catch(() => undefined);
    const outlet = this.#outlet();
    const capture = new EpochCapture(memory, pause, {
      epoch,
      copy: 'staged',
      boundaries: this.#boundaries,
      ahead: this.#drops(epoch) ? undefined : shipper.ahead('chunk', epoch, totals, { hasher }),
      outlet,
      onStagingFull: () => {
        this.#limitSilence();
        return shipper.ship('chunk', epoch, totals, { hasher });
      },
    });
    const bySelf = outlet !== undefined;
    this.#next = { epoch, totals, hasher, capture, committed, bySelf };
    return this.#next;
  }

  /** Faults are planted on the other way, and by that the backup hears of its first checkpoint before it answers. */
  #outlet(): CaptureRequest['outlet'] {
    const mayGo = this.options.faults.size === 0 && this.#committedState !== undefined;
    const outlet = mayGo ? this.dependencies.lane?.outlet : undefined;
    if (outlet === undefined) return undefined;
    return { lane: outlet, addresses: JSON.stringify(this.dependencies.addresses()) };
  }

  /** Output that waits shall begin the next pause by itself: JavaScript hears of it half a millisecond later. */
  #prepareNext(): void {
    const inMs = this.#stopped ? undefined : this.#pacer.mayPauseInMs();
    if (inMs === undefined) return;
    const { epoch, capture, bySelf } = this.#nextEpoch();
    const prepared = capture.prepare();
    if (prepared === undefined) return;
    const { trigger, isShort, over } = prepared;
    const { fireAtWaiting, fireAtInbound } = this.dependencies;
    const notBeforeMs = monotonicMs() + inMs;
    fireAtWaiting(trigger, notBeforeMs, bySelf);
    if (bySelf) void over.then(() => this.#wentBySelf(epoch));
    if (!isShort && this.#anticipation.isWorthwhile()) fireAtInbound?.(trigger, notBeforeMs);
  }

  /** The pause has begun by itself: whatever the policy would say by now, the guest must not stand for nothing. */
  #goThroughWithIt(): void {
    if (this.dependencies.pause.begunAtMs?.() !== undefined) this.#pacer.ask();
  }

  /** The pause of `epoch` is over, and output began it, unless it is known already. */
  #wentBySelf(epoch: number): void {
    if (this.#next?.epoch !== epoch || this.dependencies.pause.begunAtMs?.() === undefined) return;
    if (!this.#anticipated) this.#pacer.outputWaits(epoch);
    this.#pacer.ask();
  }

  /** When the pause that comes now was begun (CLOCK_MONOTONIC): by itself, or here. */
  #begunAtMs(): number {
    return this.dependencies.pause.begunAtMs?.() ?? monotonicMs();
  }

  /**
   * A pause that fails took nothing from the guest, and native code carries its pages into the
   * next capture. What was shipped of it is thrown away by the backup when the next epoch comes.
   */
  async #pause({ epoch, capture }: NextEpoch): Promise<PausedCapture | undefined> {
    const { memory, shipper, onPauseFailed, checkDeviceState } = this.dependencies;
    let captured = false;
    try {
      const paused = await capture.take();
      captured = true;
      // What was sent was checked before that.
      if (paused.capture.sent === undefined) checkDeviceState(paused.deviceState);
      if (this.options.faults.has('spoil-state')) spoilState(paused.deviceState);
      return paused;
    } catch (cause) {
      shipper.forget();
      if (captured) memory.abandon();
      this.#pauseFailures += 1;
      onPauseFailed(cause as Error, this.#pauseFailures);
      if (this.#pauseFailures >= PAUSE_FAILURES_MAX) {
        throw epochError('EPOCH_PAUSE_FAILED', messageOf(cause), { epoch, cause });
      }
      return undefined;
    }
  }

  /** The fault `drop-range`: smaller chunks, and one of them is not sent. */
  #drops(epoch: number): boolean {
    return this.options.faults.has('drop-range') && epoch % DROP_RANGE_EVERY === 0;
  }

  /**
   * QEMU's answer to the pause comes some time after its end. The device state was whole, so the epoch
   * counts whatever the answer; one that fails is a monitor in trouble, which the next pause will meet.
   */
  async #pauseSettled({ settled }: PausedCapture): Promise<void> {
    try {
      await settled;
      this.#pauseFailures = 0;
    } catch (error) {
      this.#pauseFailures += 1;
      this.dependencies.onPauseFailed(error as Error, this.#pauseFailures);
    }
  }

  /**
   * Beside a dead link the heartbeats of another path may go on: what is shipped has its own bound. Not the
   * pause, which may have to wait for libvirt (another job of the domain), and has one too.
   */
  #limitSilence(): void {
    this.dependencies.channel.limitSilence(SHIP_SILENCE_MS_MAX);
  }

  /**
   * Asked as soon as the guest stands still, while QEMU is still saving: libvirt keeps the question until
   * that command is answered, so that it is answered right after the pause and never before it.
   */
  #proveDisks(epoch: number): Promise<EpochLog[]> {
    if (this.#proof?.epoch === epoch) return this.#proof.logs;
    const logs = this.dependencies.disks.proveEpoch(epoch);
    // Met when the checkpoint is sent; of a pause that fails nobody asks.
    logs.catch(() => undefined);
    this.#proof = { epoch, logs };
    return logs;
  }

  /** Resolves when the checkpoint is on its way: with the moment at which its pages were. */
  async #ship(
    { epoch, totals, hasher }: NextEpoch,
    { deviceState }: PausedCapture,
  ): Promise<number> {
    const { shipper, channel } = this.dependencies;
    const { term } = this.options;
    this.#limitSilence();
    const proof = this.#proveDisks(epoch);
    const dropChunk = (epoch / DROP_RANGE_EVERY) % DROP_RANGE_AMONG;
    await shipper.ship('chunk', epoch, totals, {
      hasher,
      ...(this.#drops(epoch) ? { dropChunk } : {}),
    });
    hasher.update(deviceState);
    const { type, bytes } = this.#stateToSend(deviceState);
    totals.bytes += bytes.length;
    const state = channel.send({ type, epoch, term }, bytes);
    state.catch(() => undefined);
    const shippedAtMs = monotonicMs();
    const logs = await proof;
    await Promise.all([
      state,
      channel.sendMessage(
        'checkpoint',
        'checkpoint',
        {
          digest: hasher.digest(),
          chunks: totals.chunks,
          disks: logs,
          addresses: this.dependencies.addresses(),
        },
        { epoch, term },
      ),
    ]);
    return shippedAtMs;
  }

  #stateToSend(state: Buffer): { type: 'deviceState' | 'deviceStateDelta'; bytes: Buffer } {
    const base = this.#committedState;
    const delta = base === undefined ? undefined : this.dependencies.stateDelta(base, state);
    return delta === undefined
      ? { type: 'deviceState', bytes: state }
      : { type: 'deviceStateDelta', bytes: delta };
  }
}
