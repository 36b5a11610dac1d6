import { describe, expect, test } from 'vitest';
import { readDomainXml } from '../../../src/hypervisor/domain-xml.js';
import { liveXml } from './fixtures.js';

const bad = expect.objectContaining({ code: 'HYP_XML_BAD' });

describe('readDomainXml', () => {
  test('reads a live domain', () => {
    const facts = readDomainXml(liveXml());
    expect(facts).toMatchObject({
      name: 'guest',
      uuid: '4f6d9d3e-7a53-4f5d-8c11-000000000005',
      virtType: 'qemu',
      arch: 'x86_64',
      machine: 'pc-q35-7.2',
      emulator: '/usr/bin/qemu-system-x86_64',
      vcpus: 2,
      memoryBytes: 256 * 2 ** 20,
      firmware: 'bios',
      nics: [
        { name: 'net0', mac: '52:54:00:55:00:01', bridge: 'br0', tap: 'vnet0', model: 'virtio' },
      ],
      hostFiles: ['/usr/bin/qemu-system-x86_64', '/boot/vmlinuz', '/boot/initrd'],
    });
    expect(facts.cpu.xml).toContain('qemu64');
  });

  test('reads disks, their copies under way and who serves them', () => {
    const { disks } = readDomainXml(
      liveXml({
        devices: `
          <controller type='scsi' index='1' model='virtio-scsi'><driver iothread='1'/></controller>
          <disk type='file'><driver name='qemu' type='qcow2' cache='unsafe'/>
            <source file='/a.qcow2' index='3'/>
            <mirror type='network' job='copy' ready='yes'><source protocol='nbd' name='vda'>
              <host transport='unix' socket='/run/x/m.sock'/></source></mirror>
            <target dev='vda' bus='virtio'/></disk>
          <disk type='block'><source dev='/dev/x'/><target dev='sda' bus='scsi'/>
            <transient/><address type='drive' controller='1'/></disk>
          <disk type='file'><driver name='qemu' type='raw'><iothreads><iothread id='1'/></iothreads></driver>
            <source file='/c.raw'><encryption format='luks'/></source><target dev='vdc' bus='virtio'/></disk>
          <disk type='network'><mirror type='file' job='active-commit'/><target dev='sdb' bus='scsi'/></disk>`,
      }),
    );
    const plain = {
      device: 'disk',
      readonly: false,
      shareable: false,
      transient: false,
      encrypted: false,
      hasSource: true,
      format: 'raw',
      cache: 'default',
      iothread: false,
    };
    expect(disks).toEqual([
      {
        ...plain,
        ...{ name: 'vda', type: 'file', path: '/a.qcow2', format: 'qcow2', cache: 'unsafe' },
        mirror: { job: 'copy', socketPath: '/run/x/m.sock' },
      },
      { ...plain, name: 'sda', type: 'block', path: '/dev/x', transient: true, iothread: true },
      { ...plain, name: 'vdc', type: 'file', path: '/c.raw', encrypted: true, iothread: true },
      {
        ...plain,
        ...{ name: 'sdb', type: 'network', hasSource: false, mirror: { job: 'active-commit' } },
      },
    ]);
  });

  test.each([
    ['KiB', '262144', 2 ** 28],
    ['MiB', '256', 2 ** 28],
    ['G', '2', 2 ** 31],
    ['MB', '5', 5e6],
    ['bytes', '4096', 4096],
  ])('reads memory in %s', (unit, value, bytes) => {
    const xml = liveXml().replace(
      "<memory unit='KiB'>262144</memory>",
      `<memory unit='${unit}'>${value}</memory>`,
    );
    expect(readDomainXml(xml).memoryBytes).toBe(bytes);
  });

  test.each([
    ['nothing', ''],
    ['half a document', liveXml().slice(0, 500)],
    ['another document', '<network><name>x</name></network>'],
    ['a DOCTYPE', `<!DOCTYPE d [<!ENTITY a "b">]>${liveXml()}`],
    ['a domain without a uuid', liveXml().replace(/<uuid>.*<\/uuid>/, '')],
    ['memory that is no number', liveXml().replaceAll('262144', 'lots')],
    ['memory in leagues', liveXml().replaceAll("unit='KiB'", "unit='leagues'")],
    ['a negative number of vcpus', liveXml().replace('>2</vcpu>', '>-2</vcpu>')],
    ['more than the limit', `${liveXml()}${' '.repeat(2 ** 20)}`],
  ])('refuses %s', (_, xml) => {
    expect(() => readDomainXml(xml)).toThrow(bad);
  });
});
