/** Every bound of this area, in one place: value, unit, and why it is that value. */

/** A monitor answer that takes longer than this means QEMU's main loop is stuck: idle answers take 1–2 ms. */
export const MONITOR_TIMEOUT_MS = 5_000;

/** Queries that only describe the domain may queue behind a pause or another client's job. */
export const INSPECT_TIMEOUT_MS = 15_000;

/** libvirt API calls that start or end a QEMU process; a cold start of QEMU is well below this. */
export const LIFECYCLE_TIMEOUT_MS = 60_000;

/** A new connection: libvirtd answers at once, a first start probes capabilities for about 8 s. */
export const CONNECT_TIMEOUT_MS = 30_000;

/** From the end of a capture to QEMU's answer: below 1 ms, unless libvirtd or the host is in trouble. */
export const PAUSE_TIMEOUT_MS = 10_000;

/** Resuming a guest that one of our failed pauses may have left standing. */
export const RESUME_TIMEOUT_MS = 10_000;

/** Loading device state takes 8–14 ms; a standby that needs seconds will not come. */
export const LOAD_TIMEOUT_MS = 5_000;

/** Spacing of `query-migrate` while device state loads: QEMU reports no event to our side of libvirt. */
export const LOAD_POLL_MS = 1;

/** Ping libvirtd after so many seconds of silence, give up after so many unanswered: dead within 15 s. */
export const KEEPALIVE_INTERVAL_S = 5;
export const KEEPALIVE_COUNT = 3;

/** A live domain with hundreds of devices has about 200 KiB of XML. */
export const DOMAIN_XML_BYTES_MAX = 1024 * 1024;

export { DEVICE_STATE_BYTES_MAX } from '../wire/limits.js';

/** Machine type names are short; QEMU itself reads this length as a section of its stream. */
export const MACHINE_NAME_BYTES_MAX = 255;

/** `info mtree -f` prints every address space of every PCI function, some 10 KB each at worst. */
export const MONITOR_REPLY_BYTES_MAX = 16 * 1024 * 1024;

/** Our own monitor is asked nothing long; an event may carry a report of a guest's panic, some KB. */
export const MONITOR_LINE_BYTES_MAX = 64 * 1024;

/** RAM blocks of one guest: NUMA nodes plus memory devices (QEMU allows 256 memory slots). */
export const RAM_BLOCKS_MAX = 300;

/** Guest page size: every x86 guest and host page this project tracks. */
export const PAGE_BYTES = 4096;

/** One trial pause before protection; a pause takes some milliseconds, a loaded host some hundred. */
export const PROBE_TIMEOUT_MS = 5_000;

/** Rounds of reading RAM while the guest runs before the self-check stops it: the second leaves only what it just dirtied. */
export const SETTLE_ROUNDS = 2;

/** Disks of one guest that are carried: a protected server has one to four, and each costs a connection and a journal share. */
export const MIRRORED_DISKS_MAX = 16;

/** Unit in which QEMU's mirror copies and remembers: its own default for large disks, at most a qcow2 cluster. */
export const MIRROR_GRANULARITY_BYTES = 64 * 1024;

/** Starting a copy opens the target, ending it drains it: 10–30 ms, unless the target hangs. */
export const MIRROR_CALL_TIMEOUT_MS = 10_000;

/** Where the self-check encodes to and forgets; as large as a chunk of the sync. */
export const SCRATCH_BYTES = 4 * 1024 * 1024;

/** The slowest clock of a kernel ticks 100 times a second; twice that, for a tick that comes late. */
export const CLOCK_TICK_MS_MAX = 20;

/** How busy the guest is, is a mean over at least this: a running thread's time is kept up to date by ticks of up to 10 ms. */
export const VCPU_LOAD_WINDOW_MS = 50;
