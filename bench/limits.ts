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

/** What adaptive adds to a round trip over what a checkpoint every 50 ms adds: a sixth. */
export const ADAPTIVE_OVER_FIXED50_MAX = 0.166;
/** To one command of Redis, p50. */
export const ADAPTIVE_ADDED_MS_MAX = 3;
/** Checkpoints that come when they are wanted must not make the slow answers slower. */
export const ADAPTIVE_P99_OVER_FIXED25_MAX = 1;
export const ADAPTIVE_THROUGHPUT_OVER_FIXED25_MIN = 1;
/** What held and at once released output waits more than output that is not held. */
export const HOLD_ADDED_US_MAX = 60;
/** Released traffic over that of a plain bridge, with segments of up to 64 KiB. */
export const HOLD_THROUGHPUT_RATIO_MIN = 0.9;
/** All that runs on one host because an idle guest is protected, of one core. */
export const IDLE_CORE_PERCENT_MAX = 3;
/** Of the work of a program that needs the processor alone. */
export const CPU_BOUND_LOSS_PERCENT_MAX = 15;

/** The first epochs carry what the sync left; after these a mode is in its steady state. */
export const MODE_SETTLED_EPOCHS = 5;
/** Five epochs of an idle guest take a second. */
export const MODE_TIMEOUT_MS = 20_000;
/** Over the seconds that a client was asked for: starting it, connecting, and the last held answers. */
export const CLIENT_SLACK_MS = 60_000;

/** The longest that a client waits for an answer when its domain is switched over. */
export const SWITCHOVER_GAP_MS_MAX = 300;
/** From a host's death to the resumed guest, less the heartbeat timeout. */
export const TAKEOVER_OVER_TIMEOUT_MS_MAX = 150;
/** A client's retransmission may wait longer than the takeover took. */
export const ANSWER_TIMEOUT_MS = 20_000;
/** A booted host, a session, and the copy of all memory. */
export const PROTECTED_AGAIN_TIMEOUT_MS = 90_000;
