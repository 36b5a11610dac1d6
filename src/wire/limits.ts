/** Limits of the wire: what a peer may ask us to hold, and for how long we wait for it. */

/** Header in front of every frame, see frames.ts. */
export const FRAME_HEADER_BYTES = 24;

/** One encoded memory chunk: large enough that a 10 Gb/s link sees few frames, small enough to pool. */
export const CHUNK_BYTES_MAX = 4 * 1024 * 1024;

/** One read of a socket; libuv makes up to 32 in a row, and heartbeats must not wait for more than 8 MiB. */
export const READ_BYTES_MAX = 256 * 1024;
/** Heartbeats of a second, and more; what does not fit is read next. */
export const SMALL_READ_BYTES_MAX = 4 * 1024;

/** JSON messages; the largest is the HELLO with the domain's XML (libvirt itself stops at 4 MiB). */
export const MESSAGE_BYTES_MAX = 1024 * 1024;

/** Two moments, u64 each. */
export const HEARTBEAT_BYTES = 16;

/** What admits to a session: not to be guessed. */
export const TOKEN_BYTES = 32;

/** In an acknowledgement: the epoch that the disks hold durably, u64. */
export const RECORDED_BYTES = 8;

/** 13 KB (bare guest) to 145 KB (libvirt q35) were seen; large multiqueue guests stay below 2 MiB. */
export const DEVICE_STATE_BYTES_MAX = 32 * 1024 * 1024;

/** A peer that connects must say HELLO within this. */
export const HELLO_TIMEOUT_MS = 5_000;

/** A TLS handshake is two round trips and a few milliseconds of computing. */
export const HANDSHAKE_TIMEOUT_MS = 5_000;

/** From HELLO to WELCOME: the standby is started in between. */
export const WELCOME_TIMEOUT_MS = 30_000;

export const CONNECT_TIMEOUT_MS = 3_000;

/** Disks of one domain; a number of a disk is one byte in the write log. */
export const DISKS_MAX = 16;

/** Addresses of one host by which it is heard. */
export const HEARTBEAT_PATHS_MAX = 8;

/** A pause that fails uses up an epoch; after a few in a row the attempt ends. */
export const EPOCHS_PER_CHECKPOINT_MAX = 16;

/** Both keys of a lane (native/lane/sealed_link.h). */
export const LANE_SECRET_BYTES = 64;
