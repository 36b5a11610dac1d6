/** How much of a disk’s file changed, by comparing it with an earlier copy. */
import { type FileHandle, open } from 'node:fs/promises';

/** The guest’s unit of writing: a block is rewritten whole or not at all. */
export const BLOCK_BYTES = 4096;
const PIECE_BYTES = 1024 * 1024;

/** Bytes of all blocks that differ between two files of one size. */
export async function changedBytes(beforePath: string, afterPath: string): Promise<number> {
  const before = await open(beforePath);
  try {
    const after = await open(afterPath);
    try {
      return await compare(before, after);
    } finally {
      await after.close();
    }
  } finally {
    await before.close();
  }
}

async function compare(before: FileHandle, after: FileHandle): Promise<number> {
  const pieces = { before: Buffer.alloc(PIECE_BYTES), after: Buffer.alloc(PIECE_BYTES) };
  let changed = 0;
  for (let at = 0; ; at += PIECE_BYTES) {
    const { bytesRead } = await before.read(pieces.before, 0, PIECE_BYTES, at);
    await after.read(pieces.after, 0, bytesRead, at);
    if (bytesRead === 0) return changed;
    changed += differing(pieces.before.subarray(0, bytesRead), pieces.after);
  }
}

/** Bytes of `before`’s blocks that are not the same in `after`. Pure. */
export function differing(before: Buffer, after: Buffer): number {
  let bytes = 0;
  for (let at = 0; at < before.length; at += BLOCK_BYTES) {
    const end = Math.min(at + BLOCK_BYTES, before.length);
    if (before.compare(after, at, end, at, end) !== 0) bytes += end - at;
  }
  return bytes;
}
