import { describe, expect, test } from 'vitest';
import { onReplicas, type ReplicaDisk } from '../../../src/hypervisor/replica-disks.js';
import { standbyXml } from '../../../src/hypervisor/standby-xml.js';
import { at, children, parseDomainXml } from '../../../src/hypervisor/xml.js';
import { liveXml } from './fixtures.js';

const file: ReplicaDisk = { name: 'vda', path: '/replicas/a & b.raw', block: false };
const device: ReplicaDisk = { name: 'vda', path: '/dev/vg/vda', block: true };

/** The one disk of a standby, as text without the white space between elements. */
function standbyDisk(disk: string, replica: ReplicaDisk): string {
  const xml = standbyXml(liveXml({ devices: disk }), { disks: [replica] });
  const [element, ...others] = children(at(parseDomainXml(xml).root, 'devices'), 'disk');
  expect(others).toEqual([]);
  return String(element).replaceAll(/>\s+</g, '><').replace('></driver>', '/>');
}

const cases: [string, string, ReplicaDisk, string][] = [
  [
    'a raw file',
    "<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/a'/><target dev='vda' bus='virtio'/></disk>",
    file,
    '<disk type="file" device="disk"><driver name="qemu" type="raw"/><target dev="vda" bus="virtio"/><source file="/replicas/a &amp; b.raw"/></disk>',
  ],
  [
    'a chain that is being copied, with all that the guest sees of it',
    `<disk type='file' device='disk' model='virtio-non-transitional'>
      <driver name='qemu' type='qcow2' cache='none' io='native' discard='unmap' queues='4' copy_on_read='on' discard_no_unref='on'>
        <metadata_cache><max_size unit='bytes'>1</max_size></metadata_cache></driver>
      <source file='/a.snap' index='3' startupPolicy='optional'/>
      <backingStore type='file'><format type='qcow2'/><source file='/a'/></backingStore>
      <mirror type='network' job='copy'><source protocol='nbd' name='vda'/></mirror>
      <blockio logical_block_size='512'/>
      <target dev='vda' bus='virtio'/><iotune/><boot order='1'/><serial>S1</serial>
      <alias name='virtio-disk0'/><address type='pci' bus='0x03'/></disk>`,
    file,
    '<disk type="file" device="disk" model="virtio-non-transitional">' +
      '<driver name="qemu" type="raw" cache="none" io="native" discard="unmap" queues="4"/>' +
      '<blockio logical_block_size="512"/><target dev="vda" bus="virtio"/><iotune/>' +
      '<boot order="1"/><serial>S1</serial><alias name="virtio-disk0"/>' +
      '<address type="pci" bus="0x03"/><source file="/replicas/a &amp; b.raw"/></disk>',
  ],
  [
    'a file whose replica is a block device',
    "<disk type='file'><source file='/a'/><target dev='vda' bus='virtio'/></disk>",
    device,
    '<disk type="block"><target dev="vda" bus="virtio"/><driver name="qemu" type="raw"/><source dev="/dev/vg/vda"/></disk>',
  ],
  [
    'a block device whose replica is a file',
    "<disk type='block'><driver type='raw'/><source dev='/dev/x'/><target dev='vda'/></disk>",
    file,
    '<disk type="file"><driver type="raw" name="qemu"/><target dev="vda"/><source file="/replicas/a &amp; b.raw"/></disk>',
  ],
];

describe('a standby', () => {
  test.each(cases)('has the replica of %s', (_, disk, replica, expected) => {
    expect(standbyDisk(disk, replica)).toBe(expected);
  });

  const cd =
    "<disk type='file' device='cdrom'><source file='/a.iso'/><target dev='sda'/><readonly/></disk>";

  test('keeps other disks, and all of them when there is no replica', () => {
    const both = liveXml({ devices: `${cases[0]?.[1]}${cd}` });
    const sources = (xml: string) =>
      children(at(parseDomainXml(xml).root, 'devices'), 'disk').map((disk) =>
        String(at(disk, 'source')),
      );
    expect(sources(standbyXml(both, { disks: [device] }))).toEqual([
      '<source dev="/dev/vg/vda"/>',
      '<source file="/a.iso"/>',
    ]);
    expect(standbyXml(both, { disks: [] })).toBe(standbyXml(both));
  });

  test('must have the disk that there is a replica of', () => {
    expect(() => standbyXml(liveXml({ devices: cd }), { disks: [file] })).toThrow(
      expect.objectContaining({ code: 'HYP_XML_BAD' }),
    );
  });
});

describe('a definition to be kept', () => {
  test('has the replicas too', () => {
    const xml = onReplicas(liveXml({ devices: cases[0]?.[1] ?? '' }), [device]);
    expect(xml).toContain('<source dev="/dev/vg/vda"/>');
    expect(xml).not.toContain('/a');
  });

  test('may lack a disk that was plugged in while running', () => {
    expect(onReplicas(liveXml(), [file])).not.toContain('<disk');
  });

  test('without replicas is left as it is', () => {
    expect(onReplicas(liveXml(), [])).toBe(liveXml());
  });
});
