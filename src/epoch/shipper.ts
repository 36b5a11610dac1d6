/**
 * Encodes what was captured and sends it, chunk by chunk, while the next chunk is encoded.
 *
 * A fixed set of frame buffers is reused; one is taken again only when the kernel has its bytes.
 */
import type { NativeAhead, NativeEncoded, NativeGuestMemory, NativeHasher } from '../native.js';
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

/** Adds what was encoded; its bytes are a chunk, if there are any. */
export function addSent(totals: Shipped, encoded: NativeEncoded): void {
  totals.dataPages += encoded.dataPages;
  totals.zeroPages += encoded.zeroPages;
  totals.unchangedPages += encoded.unchangedPages;
  totals.chunks += encoded.bytes > 0 ? 1 : 0;
  totals.bytes += encoded.bytes;
}

type ShippedType = 'syncChunk' | 'chunk';

interface Chunk {
  frame: ShipFrame;
  encoded: NativeEncoded;
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
  /** What the capture brought of the epoch under way is all there was. */
  #aheadWasAll = false;

  constructor(
    private readonly memory: NativeGuestMemory,
    private readonly channel: FrameChannel,
    private readonly term: number,
  ) {}

  /**
   * For the capture that comes next: its first chunk is sent while the guest still stands. `ship` sends the rest;
   * when the capture fails, `forget` it: what was sent is of an epoch that will never be whole.
   */
  ahead(type: ShippedType, epoch: number, totals: Shipped, options: ShipOptions): NativeAhead {
    const frame = this.#nextFrame();
    const onEncoded = (encoded: NativeEncoded): void => {
      this.#aheadWasAll = encoded.done;
      this.#send({ type, epoch }, { frame, encoded }, totals, options);
    };
    return { into: roomOf(frame, SHIP_CHUNK_BYTES), onEncoded };
  }

  /** The capture failed: its pages come again with the next one. */
  forget(): void {
    this.#aheadWasAll = false;
  }

  /**
   * Ships everything captured and not yet encoded, adding to `totals`. Resolves when all is handed to
   * the socket (not yet acknowledged).
   */
  async ship(
    type: ShippedType,
    epoch: number,
    totals: Shipped,
    options: ShipOptions = {},
  ): Promise<void> {
    const wasAll = this.#aheadWasAll;
    this.#aheadWasAll = false;
    if (wasAll) return;
    const chunkBytes = options.dropChunk === undefined ? SHIP_CHUNK_BYTES : DROPPED_CHUNK_BYTES;
    const startedAtMs = performance.now();
    let encoding = this.#encode(chunkBytes);
    for (let number = 0; ; number += 1) {
      const { frame, encoded } = await encoding;
      if (number === 0) totals.encodeMs += performance.now() - startedAtMs;
      // On its own thread, while this one is sent.
      if (!encoded.done) encoding = this.#encode(chunkBytes);
      const dropped = number === options.dropChunk;
      this.#send({ type, epoch }, { frame, encoded, dropped }, totals, options);
      if (encoded.done) return;
    }
  }

  #send(
    header: { type: ShippedType; epoch: number },
    { frame, encoded, dropped = false }: Chunk & { dropped?: boolean },
    totals: Shipped,
    { hasher, onChunk }: ShipOptions,
  ): void {
    addSent(totals, dropped ? { ...encoded, bytes: 0 } : encoded);
    if (encoded.bytes === 0 || dropped) return;
    const bytes = frame.buffer.subarray(0, FRAME_HEADER_BYTES + encoded.bytes);
    hasher?.update(bytes.subarray(FRAME_HEADER_BYTES));
    frame.sent = this.channel.sendInPlace({ ...header, term: this.term }, bytes);
    // A failed send is met at the next use of the frame or as the channel's end; never lost.
    frame.sent.catch(() => undefined);
    onChunk?.(totals);
  }

  /** Encodes the next chunk into the next frame, once that is free. */
  async #encode(chunkBytes: number): Promise<Chunk> {
    const frame = this.#nextFrame();
    await frame.sent;
    return { frame, encoded: await this.memory.encodeInto(roomOf(frame, chunkBytes)) };
  }

  #nextFrame(): ShipFrame {
    const frame = this.#frames[this.#next];
    if (frame === undefined) throw new RangeError('no ship frame');
    this.#next = (this.#next + 1) % SHIP_FRAMES;
    return frame;
  }
}

function roomOf({ buffer }: ShipFrame, chunkBytes: number): Buffer {
  return buffer.subarray(FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + chunkBytes);
}
