/** Limits that figures are held to, and bounds of the measuring itself. */

/** A pause with 2,000 dirty pages, less an idle pause, over a plain copy of the same bytes. */
export const PAUSE_OVER_MEMCPY_MAX = 2.5;
/** Scan time for each GiB of guest RAM when little is dirty. */
export const SCAN_MS_PER_GIB_MAX = 1;
/** An idle guest's pause over the bare gate: tracking must not double what pausing costs. */
export const IDLE_PAUSE_OVER_GATE_MAX = 2;
/** From the decision to the resumed guest; a tenth of what a client’s TCP retransmission waits. */
export const PROMOTE_MS_MAX = 100;
/** Sync over what a plain socket carries between the same two hosts. */
export const SYNC_OVER_LOOPBACK_MIN = 0.6;

/** Between two pauses, as the default policy has it. */
export const PAUSE_EVERY_MS = 50;
/** A guest’s program says on the console when its memory is populated: 4 GiB take some seconds emulated. */
export const CONSOLE_LINE_TIMEOUT_MS = 60_000;
/** Until the load has written every page once more: its period and the faults of 4 GiB. */
export const REWRITE_TIMEOUT_MS = 90_000;
/** "Little is dirty": what a guest with only its own clock ticks writes between two scans. */
export const LITTLE_DIRTY_PAGES = 2_048;
/** A promotion takes 0.1 s, the detection before it the same; more means that it failed. */
export const TAKEOVER_TIMEOUT_MS = 20_000;
/** Sending 1 GiB over a veth takes under a second; a busy machine gets room. */
export const LOOPBACK_TIMEOUT_MS = 60_000;

/** A guest’s write to a disk that is mirrored to us, over the same to nbdkit’s memory plugin. */
export const MIRRORED_LATENCY_RATIO_MAX = 1.25;
export const MIRRORED_THROUGHPUT_RATIO_MIN = 0.8;
/** The journal writes everything twice: half of a plain copy’s speed is all that the disk gives. */
export const APPLY_OVER_COPY_MIN = 0.5;
/** Bytes that travel after an outage over bytes that changed meanwhile. */
export const RESYNC_BYTES_RATIO_MAX = 1.2;

/** Between two boundaries under load, as short as a policy has them. */
export const DISK_EPOCH_MS = 25;
/** Outside the laboratory, which lies in memory: what must reach a disk. */
export const REAL_DISK_DIRECTORY = '/var/tmp';
/** nbdkit listens within 50 ms. */
export const NBDKIT_START_TIMEOUT_MS = 10_000;
/** From the cut cables to a primary that has noticed, and from mended ones to one that is protected again. */
export const OUTAGE_TIMEOUT_MS = 60_000;
