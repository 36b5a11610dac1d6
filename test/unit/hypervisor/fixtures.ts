/** A domain as libvirt 9.0 shows it live, with room for what a test adds, and monitor texts of QEMU 7.2. */

export interface DomainParts {
  /** Attributes and children of the root, before devices. */
  root?: string;
  os?: string;
  cpu?: string;
  machine?: string;
  arch?: string;
  devices?: string;
  nic?: string;
  balloon?: string;
}

export const BRIDGED_NIC = `
    <interface type='bridge'>
      <mac address='52:54:00:55:00:01'/>
      <source bridge='br0'/>
      <target dev='vnet0'/>
      <model type='virtio'/>
      <alias name='net0'/>
      <address type='pci' domain='0x0000' bus='0x01' slot='0x00' function='0x0'/>
    </interface>`;

export function liveXml(parts: DomainParts = {}): string {
  return `<domain type='qemu' id='1'>
  <name>guest</name>
  <uuid>4f6d9d3e-7a53-4f5d-8c11-000000000005</uuid>
  <memory unit='KiB'>262144</memory>
  <currentMemory unit='KiB'>262144</currentMemory>
  ${parts.root ?? ''}
  <vcpu placement='static'>2</vcpu>
  <os>
    <type arch='${parts.arch ?? 'x86_64'}' machine='${parts.machine ?? 'pc-q35-7.2'}'>hvm</type>
    <kernel>/boot/vmlinuz</kernel>
    <initrd>/boot/initrd</initrd>
    ${parts.os ?? ''}
  </os>
  ${
    parts.cpu ??
    `<cpu mode='custom' match='exact' check='full'>
    <model fallback='forbid'>qemu64</model>
    <feature policy='require' name='hypervisor'/>
    <feature policy='require' name='lahf_lm'/>
  </cpu>`
  }
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <controller type='pci' index='0' model='pcie-root'><alias name='pcie.0'/></controller>
    ${parts.nic ?? BRIDGED_NIC}
    <input type='mouse' bus='ps2'><alias name='input0'/></input>
    ${parts.devices ?? ''}
    ${parts.balloon ?? "<memballoon model='none'/>"}
  </devices>
  <seclabel type='dynamic' model='dac' relabel='yes'><label>+0:+0</label></seclabel>
</domain>`;
}

export const FLAT_VIEW = `FlatView #0
 AS "I/O", root: io
 Root memory region: io
  0000000000000000-0000000000000007 (prio 0, i/o): dma-chan

FlatView #1
 AS "cpu-smm-1", root: memory
 Root memory region: memory
  0000000000000000-00000000ffffffff (prio 0, ram): not.this.view

FlatView #2
 AS "mch", root: bus master container
 Root memory region: (none)
  No rendered FlatView

FlatView #3
 AS "memory", root: system
 AS "cpu-memory-0", root: system
 Root memory region: system
  0000000000000000-00000000000bffff (prio 0, ram): pc.ram KVM
  00000000000c0000-00000000000c0fff (prio 0, rom): pc.ram @00000000000c0000 KVM
  0000000000100000-000000007fffffff (prio 0, ram): pc.ram @0000000000100000
  00000000b0000000-00000000bfffffff (prio 0, i/o): pcie-mmcfg-mmio
  00000000fd000000-00000000fdffffff (prio 1, ram): vga.vram
  00000000fffc0000-00000000ffffffff (prio 0, rom): pc.bios
  0000000100000000-000000017fffffff (prio 0, ram): pc.ram @0000000080000000
`;

export const RAM_BLOCKS = `              Block Name    PSize              Offset               Used              Total
                  pc.ram    4 KiB  0x0000000000000000 0x0000000100000000 0x0000000100000000
    /rom@etc/acpi/tables    4 KiB  0x00000000100c0000 0x0000000000020000 0x0000000000200000
   0000:00:02.0/vga.vram    4 KiB  0x0000000010000000 0x0000000001000000 0x0000000001000000
       /objects/ram-node1    2 MiB  0x0000000020000000 0x0000000040000000 0x0000000040000000
`;
