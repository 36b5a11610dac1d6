/**
 * Encodes what was captured and sends it, chunk by chunk, while the next chunk is encoded.
 *
 * A fixed set of frame buffers is reused; one is taken again only when the kernel has its bytes.
 */
import type { NativeEncoded, NativeGuestMemory, NativeHasher } from '../native.js';
import type { FrameChannel } from '../wire/channel.js';
import { FRAME_HEADER_BYTES } from '../wire/limits.js';
import { SHIP_CHUNK_BYTES, SHIP_FRAMES } from './limits.js';

export interface Shipped {
  chunks: number;
  bytes: number;
  dataPages: number;
  zeroPages: number;
  unchangedPages: number;
  /** Time in which nothing could be sent because the first chunk was being encoded. */
  encodeMs: number;
}

/** Small enough that a dropped chunk is about one range (fault `drop-range`). */
const DROPPED_CHUNK_BYTES = 64 * 1024;

export interface ShipOptions {
  /** Sees each chunk's bytes in order. */
  hasher?: NativeHasher;
  onChunk?: (totals: Shipped) => void;
  /** Fault `drop-range`: the chunk of this number is encoded and not sent. */
  dropChunk?: number;
}

export function nothingShipped(): Shipped {
  return { chunks: 0, bytes: 0, dataPages: 0, zeroPages: 0, unchangedPages: 0, encodeMs: 0 };
}

interface ShipFrame {
  readonly buffer: Buffer;
  /** The kernel has its bytes. */
  sent: Promise<void>;
}

export class Shipper {
  readonly #frames: ShipFrame[] = Array.from({ length: SHIP_FRAMES }, () => ({
    buffer: Buffer.alloc(FRAME_HEADER_BYTES + SHIP_CHUNK_BYTES),
    sent: Promise.resolve(),
  }));
  #next = 0;
  #ahead: Promise<{ frame: ShipFrame; encoded: NativeEncoded }> | undefined;

  constructor(
    private readonly memory: NativeGuestMemory,
    private readonly channel: FrameChannel,
    private readonly term: number,
  ) {}

  /**
   * Asks for the first chunk of a capture that is still under way: the thread that captures encodes it
   * right behind, without a trip through here. Met by `ship` or `forget`.
   */
  encodeAhead(): void {
    this.#ahead = this.#encode(SHIP_CHUNK_BYTES);
    this.#ahead.catch(() => undefined);
  }

  /** The capture failed: what was encoded ahead, if anything, is carried into the next by native code. */
  async forget(): Promise<void> {
    const ahead = this.#ahead;
    this.#ahead = undefined;
    await ahead?.catch(() => undefined);
  }

  /**
   * Ships everything captured and not yet encoded, adding to `totals`. Resolves when all is handed to
   * the socket (not yet acknowledged).
   */
  async ship(
    type: 'syncChunk' | 'chunk',
    epoch: number,
    totals: Shipped,
    options: ShipOptions = {},
  ): Promise<void> {
    const chunkBytes = options.dropChunk === undefined ? SHIP_CHUNK_BYTES : DROPPED_CHUNK_BYTES;
    const startedAtMs = performance.now();
    let encoding = this.#ahead ?? this.#encode(chunkBytes);
    this.#ahead = undefined;
    for (let number = 0; ; number += 1) {
      const { frame, encoded } = await encoding;
      if (number === 0) totals.encodeMs += performance.now() - startedAtMs;
      // On its own thread, while this one is sent.
      if (!encoded.done) encoding = this.#encode(chunkBytes);
      totals.dataPages += encoded.dataPages;
      totals.zeroPages += encoded.zeroPages;
      totals.unchangedPages += encoded.unchangedPages;
      if (encoded.bytes > 0 && number !== options.dropChunk) {
        const bytes = frame.buffer.subarray(0, FRAME_HEADER_BYTES + encoded.bytes);
        options.hasher?.update(bytes.subarray(FRAME_HEADER_BYTES));
        totals.chunks += 1;
        totals.bytes += encoded.bytes;
        frame.sent = this.channel.sendInPlace({ type, epoch, term: this.term }, bytes);
        // A failed send is met at the next use of the frame or as the channel's end; never lost.
        frame.sent.catch(() => undefined);
        options.onChunk?.(totals);
      }
      if (encoded.done) return;
    }
  }

  /** Encodes the next chunk into the next frame, once that is free. */
  async #encode(chunkBytes: number): Promise<{ frame: ShipFrame; encoded: NativeEncoded }> {
    const frame = this.#frames[this.#next];
    if (frame === undefined) throw new RangeError('no ship frame');
    this.#next = (this.#next + 1) % SHIP_FRAMES;
    await frame.sent;
    const room = frame.buffer.subarray(FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + chunkBytes);
    return { frame, encoded: await this.memory.encodeInto(room) };
  }
}
