/** Every bound of the output hold, with its unit and reason. */

/** ip, tc and bridge answer in milliseconds; a kernel that is unloading modules may take seconds. */
export const commandTimeoutMs = 10_000;

/** A bridge with a thousand ports lists in less than this. */
export const commandOutputBytesMax = 8 * 1024 * 1024;

/** Output held per network interface: 50 ms of a full 10 Gb/s link. */
export const heldBytesMax = 64 * 1024 * 1024;

/** The same 50 ms in frames of ordinary size (1,500 bytes), with room for small ones. */
export const heldPacketsMax = 65_536;

/** Between two looks at a port that spanning tree keeps from forwarding. */
export const portStatePollMs = 50;

/** On top of the bridge's two forward delays: the time in which a port must forward. */
export const portForwardingGraceMs = 2_000;

/** IFNAMSIZ - 1 (linux/if.h). */
export const interfaceNameCharsMax = 15;

/** IFALIASZ - 1 (linux/if_link.h): what the kernel keeps as an interface's alias. */
export const interfaceAliasCharsMax = 255;

/** A frame between two scratch interfaces of the probe is there within microseconds. */
export const probeFrameTimeoutMs = 1_000;
