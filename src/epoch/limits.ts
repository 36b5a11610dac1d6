/** Limits of the epoch loop and of the replica. */

/** Staging on the primary: what one pause may copy before the epoch is shipped with the guest paused. */
export const STAGING_BYTES_DEFAULT = 256 * 1024 * 1024;

/** How long QEMU may take to open the gate; it drains and flushes disks before it. */
export const PAUSE_OPEN_TIMEOUT_MS = 5_000;

/** Longest time without progress while the gate drains before it is closed, which resumes the guest. */
export const PAUSE_DRAIN_TIMEOUT_MS = 2_000;

/** One shipped chunk: those in flight stay in the processor’s cache between encoder, kernel and replica. */
export const SHIP_CHUNK_BYTES = 1024 * 1024;

/** Chunk frames in flight between encoder and kernel. */
export const SHIP_FRAMES = 6;

/** Sync stops when a round leaves this little: it fits one pause without being felt. */
export const SYNC_SMALL_PAGES = 4_096;

/** Sync rounds at most; a guest that dirties faster than the link carries never converges. */
export const SYNC_ROUNDS_MAX = 8;

/** A round that leaves more than this part of the one before does not converge: go on to epochs. */
export const SYNC_CONVERGING_RATIO = 0.7;

/** Sync chunks that may wait for the replica before the connection is paused: a few, so that they stay in cache. */
export const SYNC_APPLY_BYTES_MAX = 8 * 1024 * 1024;

/** While a checkpoint or sync is under way: longest time in which not one byte moves. */
export const SHIP_SILENCE_MS_MAX = 3_000;

/** Between two looks at the dirty set of a guest whose RAM is larger than staging; each costs about 0.3 ms a GiB. */
export const DIRTY_LOOK_EVERY_MS = 50;

/** What pauses cost the guest is a mean over about this many of them. */
export const GUEST_LOAD_MEAN_OVER = 8;

/** Pauses that fail in a row (monitor busy, …) before the session gives up. */
export const PAUSE_FAILURES_MAX = 5;

/** Epoch records kept for status, percentiles and plots. */
export const EPOCH_RECORDS_MAX = 20_000;

/** Checkpoints begun at a question are begun as long as this part of them has an answer in it … */
export const ANTICIPATION_WORTHWHILE = 0.75;
/** … a mean over about this many … */
export const ANTICIPATION_MEAN_OVER = 8;
/** … and else once in so many, as guests change their ways. */
export const ANTICIPATION_RETRY_EPOCHS = 32;
