/** A transaction’s writes as disk chunks (native/disk/disk_chunk.h), for the apply. */

const HEADER_BYTES = 24;
const WRITE = 1;
/** As a part of the log is on the wire. */
const CHUNK_BYTES = 1024 * 1024;

export interface WritesOptions {
  /** Offsets of the writes, in order. */
  offsets: readonly number[];
  /** Of each write. */
  writeBytes: number;
  content: Buffer;
}

/** Chunks of at most 1 MiB, with at least one write each; `content` is spread over the writes. */
export function chunksOf({ offsets, writeBytes, content }: WritesOptions): Buffer[] {
  const recordBytes = HEADER_BYTES + writeBytes;
  const perChunk = Math.max(1, Math.floor(CHUNK_BYTES / recordBytes));
  const chunks: Buffer[] = [];
  for (let first = 0; first < offsets.length; first += perChunk) {
    const own = offsets.slice(first, first + perChunk);
    const chunk = Buffer.alloc(own.length * recordBytes);
    own.forEach((offset, index) => {
      const at = index * recordBytes;
      chunk.writeUInt8(WRITE, at);
      chunk.writeUInt32LE(writeBytes, at + 4);
      chunk.writeBigUInt64LE(BigInt(offset), at + 8);
      chunk.writeBigUInt64LE(BigInt(writeBytes), at + 16);
      const from = (first + index) * writeBytes;
      content.copy(chunk, at + HEADER_BYTES, from, from + writeBytes);
    });
    chunks.push(chunk);
  }
  return chunks;
}

/** `count` places for blocks on a disk, none twice, in random order. */
export function randomOffsets({
  diskBytes,
  blockBytes,
  count,
  random = Math.random,
}: {
  diskBytes: number;
  blockBytes: number;
  count: number;
  random?: () => number;
}): number[] {
  const places = Math.floor(diskBytes / blockBytes);
  const taken = new Set<number>();
  while (taken.size < Math.min(count, places)) taken.add(Math.floor(random() * places));
  return [...taken].map((place) => place * blockBytes);
}
