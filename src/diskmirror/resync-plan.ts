/**
 * How a replica gets current: by what this host remembers, by comparing digests, or by a first copy.
 * Pure.
 */
import type { CarriedDisk, DiskPosition, DiskRecord } from '../wire/messages.js';
import { DIGEST_BLOCK_BYTES_MIN, DIGEST_TABLE_BYTES_MAX } from './limits.js';

/** What the backup said of its replica. */
export interface ReplicaAnswer {
  record: DiskRecord;
  /** Per disk: made for this protection, reads as zeroes. */
  fresh: readonly boolean[];
}

export type DiskPlan =
  | { how: 'copy' }
  /** The replica holds something: only blocks that differ travel. */
  | { how: 'compare'; blockBytes: number };

export type ResyncPlan = { how: 'replay' } | { how: 'mirror'; disks: readonly DiskPlan[] };

/**
 * `remembered`: the epoch since which every write is remembered here; undefined when the mirrors were
 * interrupted, which makes what is remembered worthless. A replica at a later epoch (its acknowledgement was
 * lost) is served by it as well: the newest content of whatever changed.
 */
export function planResync(
  disks: readonly CarriedDisk[],
  replica: ReplicaAnswer,
  remembered: DiskPosition | undefined,
): ResyncPlan {
  const { state, position } = replica.record;
  const covered =
    state === 'consistent' &&
    remembered !== undefined &&
    position?.session === remembered.session &&
    position.epoch >= remembered.epoch;
  if (covered && !replica.fresh.some((fresh) => fresh)) return { how: 'replay' };
  return {
    how: 'mirror',
    disks: disks.map(({ bytes }, index) =>
      replica.fresh[index] === true
        ? { how: 'copy' }
        : { how: 'compare', blockBytes: digestBlockBytes(bytes) },
    ),
  };
}

/** The smallest block, a power of two, whose table of digests stays within its limit. */
export function digestBlockBytes(diskBytes: number): number {
  const digestsMax = DIGEST_TABLE_BYTES_MAX / DIGEST_BYTES;
  let blockBytes = DIGEST_BLOCK_BYTES_MIN;
  while (diskBytes / blockBytes > digestsMax) blockBytes *= 2;
  return blockBytes;
}

/** XXH3-128. */
export const DIGEST_BYTES = 16;
