import { describe, expect, test } from 'vitest';
import { compareIdentity, type GuestIdentity } from '../../../src/hypervisor/identity.js';

const cpuXml = `<cpu mode='custom' match='exact' check='full'><model fallback='forbid'>qemu64</model>
  <feature policy='require' name='hypervisor'/><feature policy='disable' name='svm'/></cpu>`;

const identity: GuestIdentity = {
  uuid: '4f6d9d3e-7a53-4f5d-8c11-000000000005',
  qemuVersion: '7.2.22',
  machine: 'pc-q35-7.2',
  arch: 'x86_64',
  virtType: 'kvm',
  vcpus: 2,
  cpuXml,
  pageBytes: 4096,
  ramBlocks: [{ name: 'pc.ram', bytes: 2 ** 28, replicaOffset: 0 }],
  nics: [{ mac: '52:54:00:55:00:01', model: 'virtio' }],
};

describe('compareIdentity', () => {
  test('finds nothing between equals, whatever the order of CPU features', () => {
    const reordered = `<cpu mode='custom' check='partial'><feature policy='disable' name='svm'/>
      <model>qemu64</model><feature policy='require' name='hypervisor'/></cpu>`;
    expect(compareIdentity(identity, { ...identity, cpuXml: reordered })).toEqual([]);
  });

  const cases: [string, Partial<GuestIdentity>][] = [
    ['UUID_DIFFERS', { uuid: 'other' }],
    ['QEMU_VERSION_DIFFERS', { qemuVersion: '7.2.9' }],
    ['MACHINE_DIFFERS', { machine: 'pc-q35-7.1' }],
    ['ARCH_DIFFERS', { arch: 'i686' }],
    ['ACCELERATOR_DIFFERS', { virtType: 'qemu' }],
    ['VCPUS_DIFFER', { vcpus: 4 }],
    ['CPU_DIFFERS', { cpuXml: cpuXml.replace('disable', 'require') }],
    ['CPU_DIFFERS', { cpuXml: '' }],
    ['PAGE_SIZE_DIFFERS', { pageBytes: 65536 }],
    ['RAM_DIFFERS', { ramBlocks: [{ name: 'pc.ram', bytes: 2 ** 29, replicaOffset: 0 }] }],
    ['RAM_DIFFERS', { ramBlocks: [] }],
    ['NICS_DIFFER', { nics: [] }],
  ];
  test.each(cases)('%s', (code, change) => {
    const differences = compareIdentity(identity, { ...identity, ...change });
    expect(differences.map((difference) => difference.code)).toEqual([code]);
  });

  test('names both sides', () => {
    expect(compareIdentity(identity, { ...identity, machine: 'pc-q35-7.1' })).toEqual([
      { code: 'MACHINE_DIFFERS', primary: 'pc-q35-7.2', backup: 'pc-q35-7.1' },
    ]);
  });
});
