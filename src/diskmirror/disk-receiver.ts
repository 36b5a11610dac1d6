/**
 * The backup's side of the write log: stage, verify, commit, apply.
 *
 * Before the first commit of a replica that was never whole, chunks are written in place at once;
 * otherwise an epoch's chunks touch nothing until its checkpoint is committed. Applying is
 * asynchronous and takes all that is committed by then in one transaction of the journal.
 */
import { monotonicMs } from '../clock.js';
import { messageOf } from '../errors.js';
import type { NativeDiskStore, NativeHasher } from '../native.js';
import { wireError } from '../wire/errors.js';
import type { EpochLog } from '../wire/messages.js';
import { diskError } from './errors.js';
import {
  BACKLOG_BYTES_MAX,
  COPY_BYTES_WAITING_MAX,
  RECORD_EVERY_MS,
  STAGED_BYTES_MAX,
  STAGED_MEMORY_BYTES_MAX,
} from './limits.js';

export interface DiskReceiverOptions {
  store: NativeDiskStore;
  /** Of this protection; see NativeDiskPosition. */
  session: string;
  /** The first epoch: what belongs to it needs no boundary before it. */
  firstEpoch: number;
  term: number;
  /** The disks hold no boundary yet: until the first commit chunks go straight in place. */
  writesThrough: boolean;
  newHasher: () => NativeHasher;
  /** Gets chunk buffers back once they are stored or thrown away. */
  recycle: (chunk: Buffer) => void;
  /** The replica's disks can no longer be kept current. Once. */
  onFailed: (error: Error) => void;
}

interface StagedEpoch {
  hasher: NativeHasher;
  count: number;
  /** Not yet handed to the store. */
  chunks: Buffer[];
}

export class DiskReceiver {
  /** By epoch, in the order of arrival; at most the epoch being shipped and those that had no checkpoint. */
  readonly #staged = new Map<number, StagedEpoch>();
  /** Of committed epochs, in order, not yet handed to the store. */
  #committedChunks: Buffer[] = [];
  #committedEpoch = 0;
  #recordedEpoch = 0;
  #recordedAtMs = 0;
  #stagedBytes = 0;
  /** Handed to the store or committed, and not yet stored. */
  #waitingBytes = 0;
  #tail: Promise<void> = Promise.resolve();
  #applying: Promise<void> | undefined;
  #failure: Error | undefined;
  #writesThrough: boolean;
  receivedBytes = 0;

  constructor(private readonly options: DiskReceiverOptions) {
    this.#writesThrough = options.writesThrough;
  }

  /** Newest epoch that the disks are known to hold durably. */
  get recordedEpoch(): number {
    return this.#recordedEpoch;
  }

  /** A promise while too much waits for the disk: the connection is not read meanwhile. */
  onChunk(epoch: number, chunk: Buffer): void | Promise<void> {
    const staged = this.#stagedOf(epoch);
    this.#validate(epoch, chunk);
    staged.hasher.update(chunk);
    staged.count += 1;
    this.receivedBytes += chunk.length;
    if (this.#writesThrough && epoch <= this.options.firstEpoch) {
      const before = this.#tail;
      this.#store([chunk], (chunks) => this.options.store.writeThrough(chunks));
      if (this.#waitingBytes > COPY_BYTES_WAITING_MAX) return before;
      return;
    }
    staged.chunks.push(chunk);
    this.#stagedBytes += chunk.length;
    if (this.#stagedBytes > STAGED_BYTES_MAX) {
      const message = `${this.#stagedBytes} bytes of disk writes without a checkpoint`;
      throw diskError('DISK_LOG_INCOMPLETE', message, { epoch });
    }
    if (this.#stagedBytes > STAGED_MEMORY_BYTES_MAX && !this.#writesThrough) return this.#spill();
  }

  /** Throws unless the log of every epoch up to `epoch` is here as it was sent; changes nothing. */
  verify(epoch: number, logs: readonly EpochLog[]): void {
    const here = [...this.#staged.keys()].filter((staged) => staged <= epoch);
    const named = logs.map((log) => log.epoch);
    if (here.join() !== named.join()) {
      const message = `writes of epochs ${here.join() || 'none'} are here, ${named.join() || 'none'} were sent`;
      throw diskError('DISK_LOG_INCOMPLETE', message, { epoch });
    }
    for (const log of logs) {
      const staged = this.#staged.get(log.epoch);
      if (staged?.count !== log.chunks || staged.hasher.digest() !== log.digest) {
        const message = `epoch ${log.epoch}: ${staged?.count} of ${log.chunks} chunks, or another digest`;
        throw diskError('DISK_LOG_INCOMPLETE', message, { epoch });
      }
    }
  }

  /** The verified epoch is committed and will be applied. A promise while the disk lags too far behind. */
  commit(epoch: number): void | Promise<void> {
    for (const [key, { chunks }] of this.#staged) {
      if (key > epoch) continue;
      for (const chunk of chunks) {
        this.#committedChunks.push(chunk);
        this.#stagedBytes -= chunk.length;
        this.#waitingBytes += chunk.length;
      }
      this.#staged.delete(key);
    }
    this.#committedEpoch = epoch;
    if (this.#applying === undefined && this.#isDue()) {
      this.#applying = this.#apply().finally(() => {
        this.#applying = undefined;
      });
    }
    if (this.#waitingBytes > BACKLOG_BYTES_MAX) return this.#applying;
  }

  /** Resolves when the disks hold exactly the committed epoch, durably; rejects if that failed. */
  async finishApplying(): Promise<void> {
    await this.#applying;
    if (this.#failure === undefined && this.#recordedEpoch < this.#committedEpoch) {
      await this.#commitToStore();
    }
    await this.#tail;
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Throws away what is staged of later epochs. */
  async discardIncomplete(): Promise<void> {
    for (const { chunks } of this.#staged.values()) this.#recycle(chunks);
    this.#staged.clear();
    this.#stagedBytes = 0;
    this.#run(() => this.options.store.discardStaged());
    await this.#tail;
  }

  /** Applies until nothing is committed that is not stored. */
  async #apply(): Promise<void> {
    while (this.#isDue()) await this.#commitToStore();
  }

  /** Whether something is to be stored now; epochs without writes are only noted now and then. */
  #isDue(): boolean {
    if (this.#failure !== undefined || this.#recordedEpoch >= this.#committedEpoch) return false;
    const idle = this.#committedChunks.length === 0 && !this.#writesThrough;
    return !idle || monotonicMs() - this.#recordedAtMs >= RECORD_EVERY_MS;
  }

  async #commitToStore(): Promise<void> {
    const { store, session, term } = this.options;
    const chunks = this.#committedChunks;
    const epoch = this.#committedEpoch;
    const through = this.#writesThrough;
    this.#committedChunks = [];
    this.#writesThrough = false;
    this.#run(async () => {
      try {
        // A first pause that failed leaves writes of a second epoch for the first commit.
        if (through && chunks.length > 0) await store.writeThrough(chunks);
        await store.commit(through ? [] : chunks, { session, term, epoch });
        this.#recordedEpoch = epoch;
        this.#recordedAtMs = monotonicMs();
      } finally {
        this.#done(chunks);
      }
    });
    await this.#tail;
  }

  /**
   * Moves what is staged of the oldest epoch into the journal, after what is committed. Only that one: what is
   * staged there becomes part of the next commit.
   */
  async #spill(): Promise<void> {
    await this.#applying;
    if (this.#committedChunks.length > 0) await this.#commitToStore();
    const [oldest] = this.#staged.values();
    const chunks = oldest?.chunks.splice(0) ?? [];
    for (const { length } of chunks) this.#stagedBytes -= length;
    this.#store(chunks, (all) => this.options.store.stage(all));
    await this.#tail;
  }

  #store(chunks: Buffer[], call: (chunks: readonly Buffer[]) => Promise<void>): void {
    for (const { length } of chunks) this.#waitingBytes += length;
    this.#run(async () => {
      try {
        await call(chunks);
      } finally {
        this.#done(chunks);
      }
    });
  }

  #done(chunks: readonly Buffer[]): void {
    for (const { length } of chunks) this.#waitingBytes -= length;
    this.#recycle(chunks);
  }

  #recycle(chunks: readonly Buffer[]): void {
    for (const chunk of chunks) this.options.recycle(chunk);
  }

  /** After everything handed over before, unless that failed. */
  #run(call: () => Promise<void>): void {
    this.#tail = this.#tail.then(async () => {
      if (this.#failure !== undefined) return;
      try {
        await call();
      } catch (cause) {
        this.#failure = diskError('DISK_STORE_FAILED', messageOf(cause), { cause });
        this.options.onFailed(this.#failure);
      }
    });
  }

  #stagedOf(epoch: number): StagedEpoch {
    const newest = [...this.#staged.keys()].at(-1) ?? 0;
    if (epoch < newest || (this.#committedEpoch > 0 && epoch <= this.#committedEpoch)) {
      const message = `a disk write of epoch ${epoch} after ${Math.max(newest, this.#committedEpoch)}`;
      throw wireError('WIRE_UNEXPECTED', message, { epoch });
    }
    const staged = this.#staged.get(epoch) ?? {
      hasher: this.options.newHasher(),
      count: 0,
      chunks: [],
    };
    this.#staged.set(epoch, staged);
    return staged;
  }

  #validate(epoch: number, chunk: Buffer): void {
    try {
      this.options.store.validate(chunk);
    } catch (cause) {
      throw diskError('DISK_CHUNK_MALFORMED', messageOf(cause), { epoch, cause });
    }
  }
}
