/**
 * The epoch loop: pause and capture, ship, wait for the commit, release. One at a time, so at
 * most one closed epoch is unacknowledged, while the guest runs on.
 *
 * It holds no protocol state: the session gives it a channel and tells it about commits.
 */
import { messageOf } from '../errors.js';
import type { PauseSource } from '../hypervisor/pause-source.js';
import type { NativeBoundary, NativeGuestMemory, NativeHasher } from '../native.js';
import { type CommittedEpoch, committedEpoch } from '../netbuffer/output-hold.js';
import type { FrameChannel } from '../wire/channel.js';
import type { EpochLog, Message } from '../wire/messages.js';
import { captureEpoch, type PausedCapture } from './capture.js';
import type { Commits } from './commits.js';
import { epochError } from './errors.js';
import type { Fault } from './faults.js';
import { PAUSE_FAILURES_MAX, SHIP_SILENCE_MS_MAX } from './limits.js';
import type { EpochPolicy } from './policy.js';
import type { EpochRecord, EpochRecords } from './records.js';
import { nothingShipped, type Shipped, type Shipper } from './shipper.js';

export interface EpochLoopDependencies {
  memory: NativeGuestMemory;
  pause: PauseSource;
  shipper: Shipper;
  channel: FrameChannel;
  commits: Commits;
  records: EpochRecords;
  newHasher: () => NativeHasher;
  /** Throws unless the device state is whole. */
  checkDeviceState: (deviceState: Buffer) => void;
  boundaries: readonly NativeBoundary[];
  disks: EpochDisks;
  /** Releases the output of a committed epoch; resolves with the number of packets. */
  release: (committed: CommittedEpoch) => Promise<number>;
  addresses: () => Message<'checkpoint'>['addresses'];
  onEpoch: (record: EpochRecord) => void;
  onPauseFailed: (error: Error, failures: number) => void;
}

/** The disks' part of an epoch. */
export interface EpochDisks {
  /**
   * Called after the pause: resolves with what the checkpoint must say of the disks once all of the
   * epoch's writes are sent; rejects unless every mirror was whole at the boundary.
   */
  proveEpoch(epoch: number): Promise<EpochLog[]>;
}

export interface EpochLoopOptions {
  term: number;
  policy: EpochPolicy;
  /** The last epoch that was closed before this loop; numbers never come back in one session. */
  lastEpoch: number;
  faults: ReadonlySet<Fault>;
}

/** Every how many checkpoints the fault `drop-range` strikes. */
const DROP_RANGE_EVERY = 10;

/** It drops the first range one time, the second the next, and so on up to this many. */
const DROP_RANGE_AMONG = 8;

export class EpochLoop {
  #epoch: number;
  #stopped = false;
  #lastPausedAtMs: number | undefined;
  #wake: (() => void) | undefined;
  #pauseFailures = 0;

  constructor(
    private readonly options: EpochLoopOptions,
    private readonly dependencies: EpochLoopDependencies,
  ) {
    this.#epoch = options.lastEpoch;
  }

  /** The newest epoch that a pause closed or tried to close. */
  get lastEpoch(): number {
    return this.#epoch;
  }

  /** Runs until `stop()`; rejects with what made going on impossible. Output stays held then. */
  async run(): Promise<void> {
    while (!this.#stopped) {
      await this.#untilNextPause();
      if (this.#stopped) return;
      await this.checkpoint();
    }
  }

  /** Ends the loop after the checkpoint in progress. */
  stop(): void {
    this.#stopped = true;
    this.#wake?.();
  }

  /** One whole epoch, now; undefined when the pause failed in a way that lost nothing. */
  async checkpoint(): Promise<EpochRecord | undefined> {
    const { channel } = this.dependencies;
    // Beside a dead link the heartbeats of another path may go on: a checkpoint has its own bound.
    channel.limitSilence(SHIP_SILENCE_MS_MAX);
    try {
      return await this.#checkpoint();
    } finally {
      channel.limitSilence(0);
    }
  }

  async #checkpoint(): Promise<EpochRecord | undefined> {
    const { commits, records, release, onEpoch } = this.dependencies;
    this.#epoch += 1;
    const epoch = this.#epoch;
    const totals = nothingShipped();
    const hasher = this.dependencies.newHasher();
    const paused = await this.#pause(epoch, totals, hasher);
    if (paused === undefined) return undefined;
    const resumedAtMs = performance.now();
    await this.#ship(epoch, totals, hasher, paused);
    const shippedAtMs = performance.now();
    await commits.wait(epoch);
    const committedAtMs = performance.now();
    const releasedPackets = await release(committedEpoch(epoch));
    const record = recordOf(paused, totals, releasedPackets, {
      encodeShip: shippedAtMs - resumedAtMs,
      commit: committedAtMs - shippedAtMs,
      release: performance.now() - committedAtMs,
    });
    records.add(record);
    onEpoch(record);
    return record;
  }

  /**
   * A pause that fails took nothing from the guest, and native code carries its pages into the
   * next capture; only when a part of it was shipped already (staging full) is the replica unclear.
   */
  async #pause(
    epoch: number,
    totals: Shipped,
    hasher: NativeHasher,
  ): Promise<PausedCapture | undefined> {
    const { memory, pause, shipper, boundaries, onPauseFailed, checkDeviceState } =
      this.dependencies;
    let captured = false;
    this.#lastPausedAtMs = performance.now();
    try {
      const paused = await captureEpoch(memory, pause, {
        epoch,
        copy: 'staged',
        boundaries,
        onStagingFull: () => shipper.ship('chunk', epoch, totals, { hasher }),
      });
      captured = true;
      checkDeviceState(paused.deviceState);
      this.#pauseFailures = 0;
      return paused;
    } catch (cause) {
      if (captured) memory.abandon();
      this.#pauseFailures += 1;
      onPauseFailed(cause as Error, this.#pauseFailures);
      if (totals.chunks > 0 || this.#pauseFailures >= PAUSE_FAILURES_MAX) {
        throw epochError('EPOCH_PAUSE_FAILED', messageOf(cause), { epoch, cause });
      }
      return undefined;
    }
  }

  async #ship(
    epoch: number,
    totals: Shipped,
    hasher: NativeHasher,
    { deviceState }: PausedCapture,
  ): Promise<void> {
    const { shipper, channel, disks } = this.dependencies;
    const { term, faults } = this.options;
    const proof = disks.proveEpoch(epoch);
    // Met below; a failure to ship that comes first must not leave it unmet.
    proof.catch(() => undefined);
    const drops = faults.has('drop-range') && epoch % DROP_RANGE_EVERY === 0;
    const dropChunk = (epoch / DROP_RANGE_EVERY) % DROP_RANGE_AMONG;
    await shipper.ship('chunk', epoch, totals, { hasher, ...(drops ? { dropChunk } : {}) });
    hasher.update(deviceState);
    totals.bytes += deviceState.length;
    const logs = await proof;
    await Promise.all([
      channel.send({ type: 'deviceState', epoch, term }, deviceState),
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
  }

  #untilNextPause(): Promise<void> {
    const delayMs = this.options.policy.nextPauseInMs({
      nowMs: performance.now(),
      lastPausedAtMs: this.#lastPausedAtMs,
    });
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, delayMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

function recordOf(
  { capture, shippedPaused }: PausedCapture,
  totals: Shipped,
  releasedPackets: number,
  laterMs: { encodeShip: number; commit: number; release: number },
): EpochRecord {
  return {
    epoch: capture.epoch,
    pausedAtMs: Number(capture.pausedAtNs) / 1e6,
    pauseUs: capture.pauseUs,
    phasesUs: {
      gate: capture.gateUs,
      boundary: capture.boundaryUs,
      scan: capture.scanUs,
      copy: capture.copyUs,
      drain: capture.drainUs,
      encodeShip: laterMs.encodeShip * 1000,
      commit: laterMs.commit * 1000,
      release: laterMs.release * 1000,
    },
    dirtyPages: capture.dirtyPages,
    dataPages: totals.dataPages,
    zeroPages: totals.zeroPages,
    unchangedPages: totals.unchangedPages,
    shippedBytes: totals.bytes,
    releasedPackets,
    shippedPaused,
  };
}
