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
