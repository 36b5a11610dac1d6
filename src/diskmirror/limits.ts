/** Limits of the disk mirror, on both hosts. */

/** The write log that waits in memory for its way to the backup; beyond it goes to a file. */
export const LOG_MEMORY_BYTES_MAX = 64 * 1024 * 1024;

/** That file; beyond it the guest’s writes wait. A minute of a fast disk. */
export const LOG_SPILL_BYTES_MAX = 4 * 1024 ** 3;

/** What is remembered on the primary while there is no backup; more is found by digests instead. */
export const REMEMBER_BYTES_MAX = 16 * 1024 ** 3;

/** Longest time for which the guest’s disk may stand still because of us. */
export const FREEZE_MS_MAX = 2_000;

/** Blocks whose digests are compared, at least; the table on the primary is 16 bytes per block. */
export const DIGEST_BLOCK_BYTES_MIN = 64 * 1024;

/** Largest table of digests per disk: blocks grow with the disk so that it is never larger. */
export const DIGEST_TABLE_BYTES_MAX = 64 * 1024 * 1024;

/** Digests in one frame. */
export const DIGESTS_PER_FRAME = 4_096;

/** Digests that come: longest time in which not one frame arrives. Reading 256 MiB of a slow disk. */
export const DIGESTS_SILENCE_MS_MAX = 30_000;

/** One epoch’s writes in the backup’s memory; what is beyond goes into the journal early. */
export const STAGED_MEMORY_BYTES_MAX = 64 * 1024 * 1024;

/** Writes that no checkpoint has covered: a later epoch’s wait in memory until the one before is committed. */
export const STAGED_BYTES_MAX = 1024 ** 3;

/** Committed and not yet applied: beyond it the connection waits, and with it the next commit. */
export const BACKLOG_BYTES_MAX = 256 * 1024 * 1024;

/** First copy: chunks that may wait for the disk before the connection is paused. */
export const COPY_BYTES_WAITING_MAX = 16 * 1024 * 1024;

/** Epochs without a write are noted this often: a flush each would wear the disk for nothing. */
export const RECORD_EVERY_MS = 1_000;

/** Kept free on the replica’s file system, beside what the replica can grow to. */
export const SPACE_RESERVE_BYTES = 64 * 1024 * 1024;
