/** Why a domain cannot be protected (`CHECK_…` refusals), and what an operator should know if it can (`CHECK_NOTE_…`). */
import type { ErrorCatalogue } from '../errors.js';

export const checkRefusals = {
  CHECK_NOT_RUNNING: {
    meaning: 'Only a running domain can be protected.',
    remedy: 'Start the domain: virsh start DOMAIN.',
  },
  CHECK_NOT_ROOT: {
    meaning: 'Guest memory of another process can be read by root only.',
    remedy: 'Run the understudy agent as root.',
  },
  CHECK_KERNEL: {
    meaning: 'This kernel cannot track writes to guest memory from outside QEMU.',
    remedy:
      'Use a kernel of 6.7 or newer with userfaultfd and PAGEMAP_SCAN, and allow ptrace to root.',
  },
  CHECK_ARCH: {
    meaning: 'The guest is not x86-64.',
    remedy: 'Only x86-64 guests are supported.',
  },
  CHECK_CPU_NOT_NAMED: {
    meaning: 'The guest sees a CPU that another host cannot promise to have.',
    remedy:
      'Set <cpu mode="custom"> with a named model that both hosts support, or mode="host-model".',
  },
  CHECK_UEFI: {
    meaning: 'UEFI variables live in flash memory that checkpoints do not carry.',
    remedy: 'Use BIOS firmware for this domain.',
  },
  CHECK_ENCRYPTED_MEMORY: {
    meaning: 'Encrypted guest memory (SEV, TDX) cannot be copied.',
    remedy: 'Remove <launchSecurity>.',
  },
  CHECK_HUGE_PAGES: {
    meaning: 'Guest memory on huge pages is not supported yet.',
    remedy: 'Remove <hugepages> from <memoryBacking>; transparent huge pages are fine.',
  },
  CHECK_FILE_MEMORY: {
    meaning: 'Writes to file-backed guest memory cannot be tracked.',
    remedy: 'Use <source type="anonymous"/> or "memfd" in <memoryBacking>.',
  },
  CHECK_MEMORY_DEVICE: {
    meaning:
      'The memory device can change content or size without a write by the guest (virtio-mem, NVDIMM).',
    remedy: 'Remove the device; ordinary DIMMs are fine.',
  },
  CHECK_BALLOON_INFLATED: {
    meaning: 'The balloon has taken memory from the guest; freed pages escape tracking.',
    remedy: 'Give the memory back: virsh setmem DOMAIN MAXIMUM.',
  },
  CHECK_FREE_PAGE_REPORTING: {
    meaning: 'Pages that the guest reports as free escape tracking.',
    remedy: 'Remove freePageReporting="on" from <memballoon>.',
  },
  CHECK_DISK_NOT_LOCAL: {
    meaning:
      'The disk is neither a file nor a block device: other hosts may use the same storage, so it cannot have a replica of its own.',
    remedy: 'Move the disk to a local file or block device, make it readonly, or detach it.',
  },
  CHECK_DISK_FORMAT: {
    meaning: 'The format of the disk is neither raw nor qcow2.',
    remedy: 'Convert it: qemu-img convert -O qcow2 OLD NEW.',
  },
  CHECK_DISK_ENCRYPTED: {
    meaning: 'QEMU decrypts this disk: its replica would hold the content in the clear.',
    remedy: 'Encrypt inside the guest, or below QEMU on both hosts (dm-crypt).',
  },
  CHECK_DISK_TRANSIENT: {
    meaning: 'What the guest writes to a transient disk is thrown away when it ends.',
    remedy: 'Remove <transient/> or detach the disk.',
  },
  CHECK_DISK_REMOVABLE: {
    meaning: 'A writable medium in a removable drive can be changed at any time.',
    remedy: 'Eject the medium (virsh change-media DOMAIN DISK --eject) or make it readonly.',
  },
  CHECK_DISK_IOTHREAD: {
    meaning:
      'The disk is served by an I/O thread; that no write slips past an epoch’s end there is not proven.',
    remedy: 'Remove iothread= from the <driver> of the disk and of its controller.',
  },
  CHECK_TOO_MANY_DISKS: {
    meaning: 'The guest has more writable disks than one mirror carries.',
    remedy: 'Detach disks or make them readonly; the message says how many are allowed.',
  },
  CHECK_SHARED_DISK: {
    meaning: 'A shareable disk is written by other machines and has no epoch of its own.',
    remedy: 'Detach the disk.',
  },
  CHECK_NIC_NOT_ON_BRIDGE: {
    meaning: 'The output of this interface cannot be held: it is not a tap on a Linux bridge.',
    remedy: 'Use <interface type="bridge"> or a libvirt network that is backed by a Linux bridge.',
  },
  CHECK_NIC_FILTERED: {
    meaning:
      'A libvirt network filter sits on the guest’s tap; while output is held it would not see it.',
    remedy: 'Remove <filterref> and filter on the bridge or in the guest.',
  },
  CHECK_NO_HOLD: {
    meaning: 'This kernel cannot hold the guest’s output.',
    remedy: 'Load the modules tun, act_mirred and cls_u32 (or cls_matchall); see the message.',
  },
  CHECK_SHARED_MEMORY_DEVICE: {
    meaning: 'Another process writes guest memory past QEMU (vhost-user, virtiofs, vDPA, ivshmem).',
    remedy: 'Replace the device by one that QEMU or the host kernel emulates.',
  },
  CHECK_HOST_DEVICE: {
    meaning: 'A device of the host (PCI, USB, SCSI, mediated) has state that cannot be copied.',
    remedy: 'Detach the device.',
  },
  CHECK_FILESYSTEM: {
    meaning: 'A directory of the host is shared with the guest.',
    remedy: 'Detach it and use a network file system.',
  },
  CHECK_TPM: {
    meaning: 'A TPM keeps state outside QEMU.',
    remedy: 'Remove the TPM.',
  },
  CHECK_VSOCK: {
    meaning: 'What the guest sends over vsock cannot be held.',
    remedy: 'Remove <vsock>.',
  },
  CHECK_DEVICE_UNKNOWN: {
    meaning: 'understudy does not know this kind of device, so it cannot promise to carry it.',
    remedy: 'Remove the device.',
  },
  CHECK_MIGRATION_BLOCKED: {
    meaning: 'QEMU says that a device or the CPU cannot be migrated.',
    remedy: 'Remove what the message names.',
  },
  CHECK_MIGRATION_ACTIVE: {
    meaning: 'A migration or save of this domain is under way.',
    remedy: 'Wait for it, or end it: virsh domjobabort.',
  },
  CHECK_USERFAULT_IN_USE: {
    meaning: "QEMU's postcopy or background snapshot is enabled and would own the memory tracking.",
    remedy: 'Finish or cancel the migration or snapshot that enabled it.',
  },
  CHECK_JOB_ACTIVE: {
    meaning: 'A block job, backup or snapshot of this domain is under way.',
    remedy: 'Wait for it, or end it: virsh blockjob DOMAIN DISK --abort.',
  },
  CHECK_RAM_MAP: {
    meaning: "The guest's memory layout could not be established.",
    remedy: 'Read the message; report the domain XML.',
  },
} as const satisfies ErrorCatalogue;

export const checkNotes = {
  CHECK_NOTE_DISPLAY: {
    meaning: 'Video memory is not carried.',
    remedy: 'After a failover the screen is blank until the guest redraws it.',
  },
  CHECK_NOTE_UNHELD_OUTPUT: {
    meaning:
      'What the guest writes to this device is seen at once, before the backup has the epoch.',
    remedy: 'Do not let other systems act on it; only network interfaces are held.',
  },
  CHECK_NOTE_DISK_CACHE_UNSAFE: {
    meaning:
      'The disk has cache="unsafe": QEMU ignores the guest’s flushes, here and after a failover.',
    remedy: 'Use another cache mode if the guest must survive the loss of both hosts.',
  },
  CHECK_NOTE_NO_HOOK: {
    meaning:
      'Without the libvirt hook, autostart or `virsh start` may start a copy of the domain that the other host runs.',
    remedy:
      'Run `understudy host start` on this host, `understudy host add` for the other one, and restart libvirtd once on both.',
  },
  CHECK_NOTE_GUEST_PAUSED: {
    meaning: 'The guest is paused.',
    remedy: 'It is protected as it stands and promoted running.',
  },
} as const satisfies ErrorCatalogue;

export type RefusalCode = keyof typeof checkRefusals;
export type NoteCode = keyof typeof checkNotes;

export interface Refusal {
  code: RefusalCode;
  message: string;
  remedy: string;
}

export interface Note {
  code: NoteCode;
  message: string;
  remedy: string;
}

/** A part of the domain or of this host that is as it must be. */
export interface Finding {
  what: string;
  detail: string;
}

/** Every reason against, and everything to know, at once. */
export interface Verdict {
  refusals: Refusal[];
  notes: Note[];
}

export function refusal(code: RefusalCode, message: string): Refusal {
  return { code, message, remedy: checkRefusals[code].remedy };
}

export function note(code: NoteCode, message: string): Note {
  return { code, message, remedy: checkNotes[code].remedy };
}
