/** Every limit of the laboratory, with its reason. */

/** A command of ip, mount or virsh takes milliseconds; a loaded machine gets room. */
export const COMMAND_TIMEOUT_MS = 20_000;
/** Output of one command that is kept: `virsh dumpxml` is 10 KB, a runaway must not fill memory. */
export const COMMAND_OUTPUT_BYTES_MAX = 4 * 1024 * 1024;
/** libvirt probes each QEMU binary at its first start: 8 s on two slow cores. */
export const LIBVIRTD_START_TIMEOUT_MS = 60_000;
/** Building the guest image downloads a kernel of 30 MB once. */
export const IMAGE_BUILD_TIMEOUT_MS = 600_000;
/** Boot takes 3–4 s emulated; other work may share the cores. */
export const GUEST_READY_TIMEOUT_MS = 60_000;
/** A guest that has said nothing by then is started again, once. */
export const GUEST_SILENT_TIMEOUT_MS = 30_000;
/** A guest boots within 1 s where KVM works; where it does not, it hangs for ever. */
export const KVM_PROBE_TIMEOUT_MS = 10_000;
/** Killed processes vanish within a tick, a QEMU with much memory within 100 ms. */
export const KILL_TIMEOUT_MS = 5_000;
/** The kernel has no event for the end of processes that are not our children: look again after. */
export const KILL_RECHECK_MS = 5;
/** The end of a console or log that an error quotes. */
export const LOG_TAIL_BYTES_MAX = 2_000;
/** The part of a console in which a marker is looked for; a guest that prints more is broken. */
export const CONSOLE_BYTES_MAX = 1024 * 1024;
/** Asking a program in the guest over UDP: a datagram may be lost or held with the output. */
export const ASK_RETRY_MS = 250;
export const ASK_TIMEOUT_MS = 10_000;
/** Half an hour of a talker at its usual rate, some 200 bytes each. */
export const STAMPS_MAX = 2_000_000;
/** The listener looks through what waits in milliseconds; the cores may be shared. */
export const LISTENER_TIMEOUT_MS = 10_000;
/** A backlog of received packets is emptied within a tick or two, or when a taken processor is given back. */
export const LATE_WITHIN_MS = 100;
/** Skipped counters that may still come: a beacon sends one a millisecond. */
export const LATE_PACKETS_MAX = 64;
/** Interface names have 15 characters and socket paths 107; both carry the prefix. */
export const PREFIX_PATTERN = /^[a-z][a-z0-9-]{0,11}$/;
/** Addresses 10.86.1.1 … 10.86.1.250. */
export const GUESTS_MAX = 250;
/** An agent loads libvirt and the addon: 0.3 s alone, more while a guest boots beside it. */
export const AGENT_READY_TIMEOUT_MS = 20_000;
/** Agents have no push; a look at a status costs them under a millisecond. */
export const AGENT_POLL_MS = 20;
/** Starting the standby and copying 4 GiB on two slow cores. */
export const PROTECT_TIMEOUT_MS = 120_000;
/** Initramfs and its unpacked content lie in memory together: 2 × 180 MB, and Node beside them. */
export const KERNEL_VM_MEMORY_MIB_DEFAULT = 1024;
/** A run takes 6 s on an idle machine; other work may share the cores. */
export const KERNEL_VM_TIMEOUT_MS_DEFAULT = 60_000;
/** A cached initramfs that no build has made for so long belongs to an older Node or system. */
export const KERNEL_VM_BASE_AGE_DAYS_MAX = 30;
/** From `ip link set up` to an interface that carries packets: at most a second in an idle kernel. */
export const CABLE_READY_TIMEOUT_MS = 10_000;
export const CABLE_RECHECK_MS = 10;
/** Targets vda … vdh. */
export const DISKS_MAX = 8;
/** Sparse, but in memory: room for a guest's whole disk written once. */
export const DISK_MIB_MAX = 65_536;
/** e2fsck and qemu-img read a disk of some hundred MiB in a second; the cores may be shared. */
export const DISK_CHECK_TIMEOUT_MS = 60_000;
/** A load ends by itself; its answer may wait for the epoch that holds it. */
export const DISKLOAD_ANSWER_SLACK_MS = 30_000;
/** Redis reads some 100,000 commands a second from its file. */
export const REDIS_LOAD_TIMEOUT_MS = 30_000;
