/** Every bound of the output hold, with its unit and reason. */

/** ip, tc and bridge answer in milliseconds; a kernel that is unloading modules may take seconds. */
export const COMMAND_TIMEOUT_MS = 10_000;

/** A bridge with a thousand ports lists in less than this. */
export const COMMAND_OUTPUT_BYTES_MAX = 8 * 1024 * 1024;

/** Output held per network interface: 50 ms of a full 10 Gb/s link. */
export const HELD_BYTES_MAX = 64 * 1024 * 1024;

/** The same 50 ms in frames of ordinary size (1,500 bytes), with room for small ones. */
export const HELD_PACKETS_MAX = 65_536;

/** Between two looks at a port that spanning tree keeps from forwarding. */
export const PORT_STATE_POLL_MS = 50;

/** On top of the bridge's two forward delays: the time in which a port must forward. */
export const PORT_FORWARDING_GRACE_MS = 2_000;

/** IFNAMSIZ - 1 (linux/if.h). */
export const INTERFACE_NAME_CHARS_MAX = 15;

/** IFALIASZ - 1 (linux/if_link.h): what the kernel keeps as an interface's alias. */
export const INTERFACE_ALIAS_CHARS_MAX = 255;

/** A frame between two scratch interfaces of the probe is there within microseconds. */
export const PROBE_FRAME_TIMEOUT_MS = 1_000;

/** Somebody who takes the hold away may still be at it: after so many tries it is lost. */
export const REPAIR_ATTEMPTS_MAX = 3;
