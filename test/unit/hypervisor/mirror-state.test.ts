import { describe, expect, test } from 'vitest';
import type { Disk } from '../../../src/hypervisor/disk-xml.js';
import { readDomainXml } from '../../../src/hypervisor/domain-xml.js';
import { leftoverMirrors } from '../../../src/hypervisor/leftover-jobs.js';
import { type BlockJob, isMirrorOf, mirrorFault } from '../../../src/hypervisor/mirror-state.js';
import { liveXml } from './fixtures.js';

const whole: BlockJob = {
  device: 'copy-vda-libvirt-3-format',
  type: 'mirror',
  ready: true,
  status: 'ready',
  'io-status': 'ok',
  offset: 4096,
  len: 4096,
};

describe('mirrorFault', () => {
  test('has nothing against a job in step', () => {
    expect(mirrorFault(whole)).toBeUndefined();
  });

  test.each([
    ['that still copies', { ready: false, status: 'running' }, /running/],
    ['that is paused', { status: 'standby' }, /standby/],
    ['that is being ended', { status: 'aborting' }, /aborting/],
    ['that says ready and is not', { ready: false }, /not ready/],
    ['that met an error', { 'io-status': 'failed' }, /failed/],
    ['on a full target', { 'io-status': 'nospace' }, /nospace/],
    ['that failed', { status: 'concluded', error: 'Input/output error' }, /Input/],
    ['of another kind', { type: 'commit' }, /commit/],
  ])('names a job %s', (_, difference, words) => {
    expect(mirrorFault({ ...whole, ...difference })).toMatch(words);
  });
});

test.each([
  ['vda', 'copy-vda-libvirt-3-format', true],
  ['vda', 'copy-vdab-libvirt-3-format', false],
  ['vdab', 'copy-vda-libvirt-3-format', false],
  ['vda', 'commit-vda-libvirt-3-format', false],
  ['vda', 'drive-virtio-disk0', false],
])('a job on %s: %s is %s', (disk, job, expected) => {
  expect(isMirrorOf(disk, job)).toBe(expected);
});

describe('leftoverMirrors', () => {
  const copiedTo = (socket: string): Disk[] =>
    readDomainXml(
      liveXml({
        devices: `<disk type='file'><source file='/a'/><target dev='vda'/>
          <mirror type='network' job='copy'><source protocol='nbd'>
          <host transport='unix' socket='${socket}'/></source></mirror></disk>
          <disk type='file'><source file='/b'/><target dev='vdb'/></disk>`,
      }),
    ).disks;

  test.each([
    ['/run/understudy/mirror/x.sock', ['vda']],
    ['/run/understudy-other/x.sock', []],
    ['/run/understudy', []],
    ['/tmp/run/understudy/x.sock', []],
  ])('a copy to %s', (socket, expected) => {
    expect(leftoverMirrors(copiedTo(socket), '/run/understudy')).toEqual(expected);
    expect(leftoverMirrors(copiedTo(socket), '/run/understudy/')).toEqual(expected);
  });

  test('a copy to a file is somebody else’s', () => {
    const { disks } = readDomainXml(
      liveXml({
        devices: `<disk type='file'><source file='/a'/><target dev='vda'/>
          <mirror type='file' job='copy' file='/run/understudy/x'><source file='/run/understudy/x'/></mirror></disk>`,
      }),
    );
    expect(leftoverMirrors(disks, '/run/understudy')).toEqual([]);
  });
});
