/**
 * What native code and QEMU do at a pause, modelled: the gate, the boundary while the guest stands
 * still, dirty pages, staging that may be too small, pauses that fail before, within or after it.
 * `captureEpoch`, the shipper and the loop above are the real ones.
 */
import type { PausedCapture, PauseHow, PauseSource } from '../../../src/hypervisor/pause-source.js';
import type {
  NativeAhead,
  NativeBoundary,
  NativeCapture,
  NativeEncoded,
  NativeGuestMemory,
} from '../../../src/native.js';
import type { Guest } from './guest.js';
import type { World } from './world.js';

/** What the hold hands to a capture in place of a native listener. */
export interface Boundary {
  onEpochClosed(epoch: number): void;
}

export const asNative = (boundary: Boundary): NativeBoundary =>
  boundary as unknown as NativeBoundary;

export interface PauseOdds {
  /** The monitor is busy: nothing has happened. */
  busy: number;
  /** The drain fails: the boundary is marked, the guest runs again, nothing was taken. */
  drainFails: number;
  /** QEMU says after the resume that saving failed. */
  saveFails: number;
  /** Staging is too small: half is shipped while the guest stands still. */
  stagingFull: number;
  /** Planted: the boundary is marked some time after the guest runs again. */
  lateBoundary: boolean;
}

/** One page in a chunk: its number, its content. */
export const PAGE_ENTRY_BYTES = 6;
const ENTRIES_PER_CHUNK_MAX = 4;
const PAGE_BYTES = 4096;
/** The counter, and what never changes. */
const DEVICE_STATE_BYTES = 256;
/** Longest that each part of a pause takes, ms. */
const PART_MS = 1.5;

type Entry = readonly [page: number, content: number];

interface CaptureOptions {
  epoch: number;
  boundaries: readonly NativeBoundary[];
  ahead?: NativeAhead;
}

interface Pause {
  readonly epoch: number;
  readonly boundaries: readonly Boundary[];
  readonly taken: readonly Entry[];
  readonly pausedAtNs: bigint;
}

export class GuestMemory implements NativeGuestMemory, PauseSource {
  readonly pageBytes = PAGE_BYTES;
  readonly ramBytes: number;
  readonly mode = 'gate';
  /** The guest's RAM at the pause of each epoch: what a promotion must bring back. */
  readonly ramAtPause = new Map<number, readonly number[]>();
  #pause: Pause | undefined;
  /** Staged, not yet encoded; and what did not fit. */
  #staged: Entry[] = [];
  #rest: Entry[] = [];
  #thread: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly world: World,
    private readonly guest: Guest,
    private readonly odds: PauseOdds,
  ) {
    this.ramBytes = guest.pages.length * PAGE_BYTES;
  }

  async pauseAndCapture(
    capture: (how: PauseHow) => Promise<NativeCapture>,
  ): Promise<PausedCapture> {
    const { world } = this;
    await world.sleep('session', PART_MS);
    if (world.random.chance(this.odds.busy)) throw this.#failure('the monitor is busy');
    try {
      const captured = await capture({ gateFd: 0 });
      const settled = world.sleep('session', PART_MS).then(() => {
        if (world.random.chance(this.odds.saveFails)) throw this.#failure('saving failed');
      });
      // Whoever waits for it is told; one that gave up before must not leave it unmet.
      settled.catch(() => undefined);
      return { capture: captured, deviceState: captured.deviceState, settled };
    } catch (error) {
      // The gate is closed, which resumes the guest.
      this.guest.resume();
      throw error;
    }
  }

  capture(options: CaptureOptions): Promise<NativeCapture> {
    return this.#inOrder(() => this.#capture(options));
  }

  captureRest(): Promise<NativeCapture> {
    return this.#inOrder(() => this.#captureRest());
  }

  encodeInto(into: Buffer): Promise<NativeEncoded> {
    return this.#inOrder(() => this.#encodeInto(into));
  }

  async #capture(options: CaptureOptions): Promise<NativeCapture> {
    const { world, guest, odds } = this;
    await world.sleep('session', PART_MS);
    guest.pause();
    const boundaries = options.boundaries as unknown as readonly Boundary[];
    if (!odds.lateBoundary) this.#tell(boundaries, options.epoch);
    const taken = [...guest.dirty].map((page): Entry => [page, guest.pages[page] ?? 0]);
    guest.dirty.clear();
    this.ramAtPause.set(options.epoch, [...guest.pages]);
    this.#pause = { ...options, boundaries, taken, pausedAtNs: world.nowNs };
    const full = taken.length > 1 && world.random.chance(odds.stagingFull);
    const fits = full ? Math.floor(taken.length / 2) : taken.length;
    this.#staged = taken.slice(0, fits);
    this.#rest = taken.slice(fits);
    await world.sleep('session', PART_MS);
    world.moment('captured');
    if (full) return this.#captured('partial');
    if (options.ahead !== undefined) {
      options.ahead.onEncoded(await this.#encodeInto(options.ahead.into));
    }
    return this.#drain();
  }

  async #captureRest(): Promise<NativeCapture> {
    this.#staged = this.#rest;
    this.#rest = [];
    await this.world.sleep('session', PART_MS);
    return this.#drain();
  }

  captureStopped(): Promise<NativeCapture> {
    return Promise.reject(new Error('the model pauses through the gate'));
  }

  async #encodeInto(into: Buffer): Promise<NativeEncoded> {
    await this.world.sleep('session', PART_MS / 2);
    const entries = this.#staged.splice(0, this.world.random.integer(1, ENTRIES_PER_CHUNK_MAX));
    entries.forEach(([page, content], index) => {
      into.writeUInt16LE(page, index * PAGE_ENTRY_BYTES);
      into.writeUInt32LE(content, index * PAGE_ENTRY_BYTES + 2);
    });
    return {
      bytes: entries.length * PAGE_ENTRY_BYTES,
      dataPages: entries.length,
      zeroPages: 0,
      unchangedPages: 0,
      done: this.#staged.length === 0,
    };
  }

  /** The pages of the last pause are dirty again. */
  abandon(): void {
    for (const [page] of this.#pause?.taken ?? []) this.guest.dirty.add(page);
    this.#staged = [];
    this.#rest = [];
  }

  writtenPages(): Promise<number> {
    return Promise.resolve(this.guest.dirty.size);
  }

  forgetReplica(): void {
    for (const page of this.guest.pages.keys()) this.guest.dirty.add(page);
  }

  digest(): Promise<string> {
    return Promise.resolve(this.guest.pages.join());
  }

  detach(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** One thread does what is asked of it, in that order. */
  #inOrder<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#thread.then(work);
    this.#thread = done.catch(() => undefined);
    return done;
  }

  async #drain(): Promise<NativeCapture> {
    const { world, guest, odds } = this;
    await world.sleep('session', PART_MS);
    if (world.random.chance(odds.drainFails)) {
      this.abandon();
      throw this.#failure('the drain failed');
    }
    const captured = this.#captured('complete');
    guest.resume();
    if (odds.lateBoundary && this.#pause !== undefined) {
      const { boundaries, epoch } = this.#pause;
      await world.sleep('session', PART_MS);
      this.#tell(boundaries, epoch);
    }
    // The guest runs before this thread's caller knows.
    await world.sleep('session', PART_MS / 4);
    return captured;
  }

  #tell(boundaries: readonly Boundary[], epoch: number): void {
    for (const boundary of boundaries) boundary.onEpochClosed(epoch);
    this.world.moment('boundary');
  }

  #failure(message: string): Error {
    this.world.moment('pause failed');
    return new Error(message);
  }

  #captured(status: NativeCapture['status']): NativeCapture {
    const pause = this.#pause;
    if (pause === undefined) throw new Error('captured without a pause');
    const deviceState = Buffer.alloc(status === 'complete' ? DEVICE_STATE_BYTES : 0);
    if (status === 'complete') deviceState.writeUInt32LE(this.guest.counter);
    const { pausedAtNs, epoch, taken } = pause;
    const pauseUs = (this.world.nowMs - Number(pausedAtNs) / 1e6) * 1000;
    return {
      epoch,
      status,
      dirtyPages: taken.length,
      dirtyRanges: taken.length,
      stagedBytes: taken.length * PAGE_BYTES,
      gateUs: 0,
      boundaryUs: 0,
      scanUs: 0,
      copyUs: 0,
      drainUs: 0,
      pauseUs,
      pausedAtNs,
      deviceState,
    };
  }
}
