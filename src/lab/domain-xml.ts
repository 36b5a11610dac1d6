/** The libvirt domain of a laboratory guest, as XML. */
import type { GuestImage } from './guest-image.js';
import { EMULATOR } from './platform.js';
import type { DiskRecord } from './state.js';

export type Accelerator = 'kvm' | 'tcg';
export type MachineType = 'q35' | 'pc';
export type GuestProgram =
  | 'redis'
  | 'memstamp'
  | 'beacon'
  | 'talker'
  | 'dirty'
  | 'diskstamp'
  | 'diskload'
  | 'spin';

export interface GuestDomain {
  name: string;
  uuid: string;
  mac: string;
  memoryMib: number;
  vcpus: number;
  machine: MachineType;
  accelerator: Accelerator;
  image: GuestImage;
  kernelArguments: readonly string[];
  consolePath: string;
  disks: readonly DiskRecord[];
}

/**
 * No picture, no USB, no balloon: what a guest needs to serve on the network and to keep data, and
 * nothing whose memory lies outside main RAM.
 */
export function domainXml(domain: GuestDomain): string {
  return `<domain type='${domain.accelerator === 'kvm' ? 'kvm' : 'qemu'}'>
  <name>${escaped(domain.name)}</name>
  <uuid>${domain.uuid}</uuid>
  <memory unit='MiB'>${domain.memoryMib}</memory>
  <vcpu>${domain.vcpus}</vcpu>
  <os>
    <type arch='x86_64' machine='${domain.machine}'>hvm</type>
    <kernel>${escaped(domain.image.kernel)}</kernel>
    <initrd>${escaped(domain.image.initrd)}</initrd>
    <cmdline>${escaped(domain.kernelArguments.join(' '))}</cmdline>
  </os>
  <features><acpi/><apic/></features>
  ${cpuXml(domain.accelerator)}
  <clock offset='utc'/>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>destroy</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <emulator>${EMULATOR}</emulator>
    <controller type='usb' model='none'/>
${domain.disks.map(diskXml).join('')}    <interface type='bridge'>
      <mac address='${domain.mac}'/>
      <source bridge='br0'/>
      <model type='virtio'/>
      <driver name='qemu'/>
    </interface>
    <serial type='file'><source path='${escaped(domain.consolePath)}'/><target port='0'/></serial>
    <console type='file'><source path='${escaped(domain.consolePath)}'/><target type='serial' port='0'/></console>
    <memballoon model='none'/>
  </devices>
</domain>
`;
}

// The guest's discards reach the file, so that its mirror sees them too.
function diskXml({ name, path, format }: DiskRecord): string {
  return `    <disk type='file' device='disk'>
      <driver name='qemu' type='${format}' discard='unmap'/>
      <source file='${escaped(path)}'/>
      <target dev='${name}' bus='virtio'/>
      <serial>lab-${name}</serial>
    </disk>
`;
}

function cpuXml(accelerator: Accelerator): string {
  return accelerator === 'kvm'
    ? "<cpu mode='host-passthrough' migratable='on'/>"
    : "<cpu mode='custom' match='exact'><model fallback='forbid'>qemu64</model></cpu>";
}

/** Kernel arguments that make the boot short and its console quiet; programs' options follow. */
export function kernelArguments(
  accelerator: Accelerator,
  guest: {
    ip?: string;
    ip6?: string;
    /** First 256 bits for the guest's random numbers, 64 hexadecimal digits. */
    seed?: string;
    run: readonly GuestProgram[];
    /** `us.KEY=VALUE` of native/guest/init, such as { beacon_hz: 500 }. */
    options?: Readonly<Record<string, string | number>>;
  },
): string[] {
  return [
    'console=ttyS0',
    'quiet',
    'panic=-1',
    'mitigations=off',
    'cryptomgr.notests',
    // The emulated time-stamp counter is not steady enough for the kernel's own test of it.
    ...(accelerator === 'tcg' ? ['tsc=unstable'] : []),
    ...(guest.seed === undefined ? [] : [`us.seed=${guest.seed}`]),
    ...(guest.ip === undefined ? [] : [`us.ip=${guest.ip}/16`]),
    ...(guest.ip6 === undefined ? [] : [`us.ip6=${guest.ip6}/64`]),
    `us.run=${guest.run.join(',')}`,
    ...Object.entries(guest.options ?? {}).map(([key, value]) => `us.${key}=${value}`),
  ];
}

function escaped(text: string): string {
  return text.replace(/[&<>'"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
