/**
 * Sends the write log to the backup while the epoch runs, and says at its end what was sent.
 *
 * The mirror target hands out parts in order; each becomes one frame. What a checkpoint says of its
 * epochs (how many chunks, which digest) is made here from what really went to the socket.
 */
import type { NativeHasher, NativeLogPart, NativeMirrorTarget } from '../native.js';
import type { FrameChannel } from '../wire/channel.js';
import { FRAME_HEADER_BYTES } from '../wire/limits.js';
import type { EpochLog } from '../wire/messages.js';
import { diskError } from './errors.js';

/** One part of the log at most: 1 MiB, as the target makes them. */
export const LOG_PART_BYTES_MAX = 1024 * 1024;

/** Frames between the log and the kernel: one is filled while others are sent. */
const LOG_FRAMES = 4;

export interface LogShipperOptions {
  term: number;
  newHasher: () => NativeHasher;
  /** Fault `shift-barrier`: from this epoch on every write is passed off as one of the next. */
  shiftBarrierFrom?: number;
}

interface OpenLog {
  chunks: number;
  hasher: NativeHasher;
}

export class LogShipper {
  readonly #open = new Map<number, OpenLog>();
  readonly #ended: EpochLog[] = [];
  #endedEpoch = -1;
  #waiting: { epoch: number; resolve: () => void; reject: (error: Error) => void } | undefined;
  #failure: Error | undefined;
  bytes = 0;

  constructor(
    private readonly target: Pick<NativeMirrorTarget, 'take'>,
    private readonly channel: Pick<FrameChannel, 'sendInPlace'>,
    private readonly options: LogShipperOptions,
  ) {}

  /** Ships until the target stops handing out; rejects with what made going on impossible. */
  async run(): Promise<void> {
    try {
      await this.#run();
    } catch (error) {
      this.fail(error as Error);
      if (!isStopped(error)) throw error;
    }
  }

  /**
   * Resolves when everything of `epoch` is handed to the socket: what the checkpoint must say of it and
   * of epochs before it that had no checkpoint. Rejects when the mirror was not whole at that boundary.
   */
  async closed(epoch: number): Promise<EpochLog[]> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#endedEpoch < epoch) {
      await new Promise<void>((resolve, reject) => {
        this.#waiting = { epoch, resolve, reject };
      });
    }
    return this.#ended.splice(0);
  }

  fail(error: Error): void {
    this.#failure ??= error;
    this.#waiting?.reject(this.#failure);
    this.#waiting = undefined;
  }

  async #run(): Promise<void> {
    const frames = Array.from({ length: LOG_FRAMES }, () => ({
      buffer: Buffer.alloc(FRAME_HEADER_BYTES + LOG_PART_BYTES_MAX),
      sent: Promise.resolve(),
    }));
    for (let number = 0; ; number += 1) {
      const frame = frames[number % LOG_FRAMES] as (typeof frames)[number];
      await frame.sent;
      const part = await this.target.take(frame.buffer.subarray(FRAME_HEADER_BYTES));
      if (part.bytes > 0) frame.sent = this.#send(part, frame.buffer);
      if (part.endsEpoch) this.#end(part);
    }
  }

  #send({ epoch, bytes }: NativeLogPart, buffer: Buffer): Promise<void> {
    const { shiftBarrierFrom = Number.POSITIVE_INFINITY } = this.options;
    const tag = epoch < shiftBarrierFrom ? epoch : epoch + 1;
    const frame = buffer.subarray(0, FRAME_HEADER_BYTES + bytes);
    const log = this.#open.get(tag) ?? { chunks: 0, hasher: this.options.newHasher() };
    this.#open.set(tag, log);
    log.chunks += 1;
    log.hasher.update(frame.subarray(FRAME_HEADER_BYTES));
    this.bytes += bytes;
    const header = { type: 'diskChunk', epoch: tag, term: this.options.term } as const;
    const sent = this.channel.sendInPlace(header, frame);
    // Met at the next use of the frame, or as the channel's end.
    sent.catch(() => undefined);
    return sent;
  }

  #end({ epoch, intact }: NativeLogPart): void {
    if (!intact) {
      throw diskError(
        'DISK_MIRROR_LOST',
        `a mirror was interrupted before the end of epoch ${epoch}`,
        {
          epoch,
        },
      );
    }
    // What came before the first boundary belongs to the first epoch.
    for (const [tag, { chunks, hasher }] of [...this.#open].sort(([a], [b]) => a - b)) {
      if (tag > epoch) continue;
      this.#ended.push({ epoch: tag, chunks, digest: hasher.digest() });
      this.#open.delete(tag);
    }
    this.#endedEpoch = epoch;
    if (this.#waiting !== undefined && this.#waiting.epoch <= epoch) {
      this.#waiting.resolve();
      this.#waiting = undefined;
    }
  }
}

function isStopped(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'STOPPED';
}
