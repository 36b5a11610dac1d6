/**
 * Frames: how bytes are cut on a connection, in both directions.
 *
 * Every frame is a 24-byte little-endian header and a payload. The header is checked in full,
 * against the limit of its type, before one byte of the payload is accepted, so a malformed
 * or oversized frame costs the connection and nothing else.
 *
 *   0  u32  magic "USdy"
 *   4  u8   type
 *   5  u8   zero
 *   6  u16  zero
 *   8  u64  epoch (0 where it has no meaning)
 *  16  u32  term
 *  20  u32  payload bytes
 */
import { wireError } from './errors.js';
import {
  CHUNK_BYTES_MAX,
  DEVICE_STATE_BYTES_MAX,
  FRAME_HEADER_BYTES,
  HEARTBEAT_BYTES,
  MESSAGE_BYTES_MAX,
  RECORDED_BYTES,
} from './limits.js';

const MAGIC = 0x79645355;

/** Frame types and the most each may carry. A number, once given, is never used again. */
export const FRAME_TYPES = {
  hello: { id: 1, bytesMax: MESSAGE_BYTES_MAX },
  welcome: { id: 2, bytesMax: MESSAGE_BYTES_MAX },
  refuse: { id: 3, bytesMax: MESSAGE_BYTES_MAX },
  syncChunk: { id: 4, bytesMax: CHUNK_BYTES_MAX },
  chunk: { id: 5, bytesMax: CHUNK_BYTES_MAX },
  deviceState: { id: 6, bytesMax: DEVICE_STATE_BYTES_MAX },
  checkpoint: { id: 7, bytesMax: MESSAGE_BYTES_MAX },
  committed: { id: 8, bytesMax: RECORDED_BYTES },
  heartbeat: { id: 9, bytesMax: HEARTBEAT_BYTES },
  yield: { id: 10, bytesMax: MESSAGE_BYTES_MAX },
  goodbye: { id: 11, bytesMax: MESSAGE_BYTES_MAX },
  superseded: { id: 12, bytesMax: 0 },
  diskChunk: { id: 13, bytesMax: CHUNK_BYTES_MAX },
  compareDisks: { id: 14, bytesMax: MESSAGE_BYTES_MAX },
  diskDigests: { id: 15, bytesMax: CHUNK_BYTES_MAX },
  deviceStateDelta: { id: 16, bytesMax: DEVICE_STATE_BYTES_MAX },
} as const;

export type FrameType = keyof typeof FRAME_TYPES;

export interface FrameHeader {
  type: FrameType;
  epoch: number;
  term: number;
}

export interface Frame extends FrameHeader {
  payload: Buffer;
}

const TYPE_BY_ID = new Map<number, FrameType>(
  Object.entries(FRAME_TYPES).map(([name, { id }]) => [id, name as FrameType]),
);

/** Writes the header of a frame with `payloadBytes` of payload into the first bytes of `into`. */
export function writeHeader(into: Buffer, header: FrameHeader, payloadBytes: number): void {
  const { id, bytesMax } = FRAME_TYPES[header.type];
  if (payloadBytes > bytesMax) {
    throw wireError(
      'WIRE_TOO_LARGE',
      `${header.type} of ${payloadBytes} bytes; at most ${bytesMax} are allowed`,
    );
  }
  into.writeUInt32LE(MAGIC, 0);
  into.writeUInt32LE(id, 4);
  into.writeBigUInt64LE(BigInt(header.epoch), 8);
  into.writeUInt32LE(header.term, 16);
  into.writeUInt32LE(payloadBytes, 20);
}

interface ParsedHeader extends FrameHeader {
  payloadBytes: number;
}

function readHeader(bytes: Buffer): ParsedHeader {
  if (bytes.readUInt32LE(0) !== MAGIC) {
    throw wireError('WIRE_BAD_MAGIC', 'the peer does not speak this protocol');
  }
  const id = bytes.readUInt32LE(4);
  const type = TYPE_BY_ID.get(id);
  if (type === undefined) {
    throw wireError('WIRE_BAD_FRAME', `unknown frame type 0x${id.toString(16)}`);
  }
  const epoch = bytes.readBigUInt64LE(8);
  if (epoch > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw wireError('WIRE_BAD_FRAME', `impossible epoch ${epoch}`);
  }
  const payloadBytes = bytes.readUInt32LE(20);
  const { bytesMax } = FRAME_TYPES[type];
  if (payloadBytes > bytesMax) {
    throw wireError(
      'WIRE_TOO_LARGE',
      `${type} announces ${payloadBytes} bytes; at most ${bytesMax} are allowed`,
    );
  }
  return { type, epoch: Number(epoch), term: bytes.readUInt32LE(16), payloadBytes };
}

/**
 * Cuts a byte stream into frames and calls `onFrame` for each whole one, in order. Bytes are either
 * written to where `room` says and then counted with `filled`, or copied by `push`. It throws a typed
 * error at the first malformed header and must not be used afterwards. Payload buffers come from
 * `allocate` and belong to the receiver.
 */
export class FrameParser {
  readonly #header = Buffer.alloc(FRAME_HEADER_BYTES);
  #current: ParsedHeader | undefined;
  #payload: Buffer = Buffer.alloc(0);
  /** Of the header, or of the payload once the header is complete. */
  #fill = 0;

  constructor(
    private readonly onFrame: (frame: Frame) => void,
    private readonly allocate: (bytes: number) => Buffer = Buffer.allocUnsafe,
  ) {}

  /** Where the next bytes of the stream belong; never empty, never beyond the present frame. */
  room(): Buffer {
    return this.#target.subarray(this.#fill);
  }

  /** The first `bytes` of `room()` are there. */
  filled(bytes: number): void {
    this.#fill += bytes;
    if (this.#fill < this.#target.length) return;
    this.#fill = 0;
    if (this.#current !== undefined) {
      this.#emit(this.#current);
      return;
    }
    const header = readHeader(this.#header);
    this.#payload = this.allocate(header.payloadBytes);
    if (header.payloadBytes === 0) this.#emit(header);
    else this.#current = header;
  }

  push(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) {
      const taken = bytes.copy(this.room(), 0, at);
      at += taken;
      this.filled(taken);
    }
  }

  get #target(): Buffer {
    return this.#current === undefined ? this.#header : this.#payload;
  }

  #emit({ type, epoch, term }: ParsedHeader): void {
    this.#current = undefined;
    this.onFrame({ type, epoch, term, payload: this.#payload });
  }
}
