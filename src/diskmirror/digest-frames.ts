/**
 * Digests of a replica's blocks on the wire. Little-endian:
 *   0  u32  disk
 *   4  u32  digests
 *   8  u64  number of the first block
 *  16       16 bytes per digest (XXH3-128, canonical)
 */
import { wireError } from '../wire/errors.js';
import { DIGEST_BYTES } from './resync-plan.js';

const HEADER_BYTES = 16;

export interface DigestPart {
  disk: number;
  firstBlock: number;
  digests: Buffer;
}

export function encodeDigests({ disk, firstBlock, digests }: DigestPart): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32LE(disk, 0);
  header.writeUInt32LE(digests.length / DIGEST_BYTES, 4);
  header.writeBigUInt64LE(BigInt(firstBlock), 8);
  return Buffer.concat([header, digests]);
}

/** @throws WIRE_BAD_FRAME */
export function decodeDigests(payload: Buffer): DigestPart {
  const count = payload.length < HEADER_BYTES ? Number.NaN : payload.readUInt32LE(4);
  if (payload.length !== HEADER_BYTES + count * DIGEST_BYTES) {
    throw wireError('WIRE_BAD_FRAME', `${payload.length} bytes are no frame of digests`);
  }
  return {
    disk: payload.readUInt32LE(0),
    firstBlock: Number(payload.readBigUInt64LE(8)),
    digests: payload.subarray(HEADER_BYTES),
  };
}

/** Blocks of a disk; the last may be short. */
export function blockCount(bytes: number, blockBytes: number): number {
  return Math.ceil(bytes / blockBytes);
}
