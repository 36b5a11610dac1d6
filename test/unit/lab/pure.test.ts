import { describe, expect, it } from 'vitest';
import { judgeConsole } from '../../../src/lab/console.js';
import { plannedDisks } from '../../../src/lab/disk-image.js';
import { domainXml, kernelArguments } from '../../../src/lab/domain-xml.js';
import { parseDiskload, parseDiskstamp, parseMemstamp } from '../../../src/lab/guest-reports.js';
import { checkedPrefix, guestAddress, libvirtUri } from '../../../src/lab/layout.js';
import { CONSOLE_BYTES_MAX, DISK_MIB_MAX, DISKS_MAX } from '../../../src/lab/limits.js';

const domain = {
  name: 'g',
  uuid: '6b0d0f3e-5a1c-4c5f-9b86-0f2a7f4f7d11',
  mac: '52:54:00:01:02:03',
  memoryMib: 256,
  vcpus: 2,
  machine: 'pc',
  accelerator: 'tcg',
  image: { kernel: '/k', initrd: '/i' },
  kernelArguments: ['quiet', 'us.run=redis'],
  consolePath: '/console',
  disks: [],
} as const;

describe('judgeConsole', () => {
  it.each([
    { text: '', verdict: undefined },
    { text: 'memstamp: 16384 pages\r\n', verdict: undefined },
    { text: 'not us-ready yet\n', verdict: undefined },
    { text: 'noise\r\nus-ready\r\n', verdict: { ready: true } },
    { text: 'us-failed: no eth0\r\n', verdict: { ready: false, reason: 'us-failed: no eth0' } },
    {
      text: '[ 1.0] Kernel panic - not syncing: x\n',
      verdict: { ready: false, reason: '[ 1.0] Kernel panic - not syncing: x' },
    },
  ])('$text', ({ text, verdict }) => {
    expect(judgeConsole(text)).toEqual(verdict);
  });

  it('gives up on a console that never ends', () => {
    expect(judgeConsole('x'.repeat(CONSOLE_BYTES_MAX))).toMatchObject({ ready: false });
  });
});

describe('domainXml', () => {
  it('escapes what it is given', () => {
    const xml = domainXml({ ...domain, name: `a<b>'&"` });
    expect(xml).toContain('<name>a&#60;b&#62;&#39;&#38;&#34;</name>');
  });

  it('names machine, size and accelerator', () => {
    expect(domainXml(domain)).toMatch(
      /<domain type='qemu'>[\s\S]*<memory unit='MiB'>256<[\s\S]*<vcpu>2<[\s\S]*machine='pc'/,
    );
    expect(domainXml({ ...domain, accelerator: 'kvm' })).toContain("<domain type='kvm'>");
  });

  it('brings no device whose memory lies outside main RAM', () => {
    const xml = domainXml(domain);
    expect(xml).toContain("<memballoon model='none'/>");
    expect(xml).not.toMatch(/<(video|graphics)/);
  });

  it('has the disks it is given, and none by itself', () => {
    expect(domainXml(domain)).not.toContain('<disk');
    const disks = plannedDisks('g', [
      { format: 'raw', mib: 8 },
      { format: 'qcow2', mib: 8 },
    ]).map(({ record }) => record);
    const xml = domainXml({ ...domain, disks });
    expect(xml).toMatch(/type='raw' discard='unmap'[\s\S]*g-vda\.img[\s\S]*dev='vda' bus='virtio'/);
    expect(xml).toMatch(/type='qcow2'[\s\S]*g-vdb\.qcow2[\s\S]*dev='vdb'[\s\S]*lab-vdb/);
  });
});

describe('kernelArguments', () => {
  it('marks the clock unstable only where it is emulated', () => {
    expect(kernelArguments('tcg', { run: [] })).toContain('tsc=unstable');
    expect(kernelArguments('kvm', { run: [] })).not.toContain('tsc=unstable');
  });

  it('passes addresses, programs and options on', () => {
    const words = kernelArguments('tcg', {
      ...guestAddress(17),
      run: ['redis', 'dirty'],
      options: { dirty_pages: 10 },
    });
    expect(words).toEqual(
      expect.arrayContaining([
        'us.ip=10.86.1.17/16',
        'us.ip6=fd86::1:11/64',
        'us.run=redis,dirty',
        'us.dirty_pages=10',
      ]),
    );
  });
});

describe('plannedDisks', () => {
  it('names disks by their place unless told', () => {
    const disks = plannedDisks('g', [
      { format: 'raw', mib: 1, filesystem: 'ext4' },
      { name: 'vdx', format: 'qcow2', mib: 2 },
    ]);
    expect(disks).toEqual([
      {
        record: {
          name: 'vda',
          path: '/var/lib/libvirt/images/g-vda.img',
          format: 'raw',
          bytes: 1 << 20,
        },
        filesystem: 'ext4',
      },
      {
        record: {
          name: 'vdx',
          path: '/var/lib/libvirt/images/g-vdx.qcow2',
          format: 'qcow2',
          bytes: 2 << 20,
        },
        filesystem: undefined,
      },
    ]);
  });

  it.each([
    ['a name that is no target', [{ name: '../vda', format: 'raw', mib: 1 }]],
    ['no size', [{ format: 'raw', mib: 0 }]],
    ['half a MiB', [{ format: 'raw', mib: 0.5 }]],
    ['a size beyond reason', [{ format: 'raw', mib: DISK_MIB_MAX + 1 }]],
    [
      'the same name twice',
      [
        { format: 'raw', mib: 1 },
        { name: 'vda', format: 'raw', mib: 1 },
      ],
    ],
    ['too many', Array.from({ length: DISKS_MAX + 1 }, () => ({ format: 'raw', mib: 1 }) as const)],
  ] as const)('refuses %s', (_what, disks) => {
    expect(() => plannedDisks('g', disks)).toThrowError(
      expect.objectContaining({ code: 'LAB_OPTION_INVALID' }),
    );
  });
});

describe('layout', () => {
  it.each([
    '',
    'A',
    '1lab',
    'a/b',
    '..',
    'averylongprefix',
    'a b',
  ])('refuses prefix "%s"', (prefix) => {
    expect(() => checkedPrefix(prefix)).toThrowError(
      expect.objectContaining({ code: 'LAB_OPTION_INVALID' }),
    );
  });

  it('keeps the longest socket path within the 107 bytes of sun_path', () => {
    const socket = libvirtUri(checkedPrefix('abcdefghijkl'), 'a').split('socket=')[1] ?? '';
    expect(Buffer.byteLength(socket)).toBeLessThanOrEqual(107);
  });
});

describe('parseDiskstamp', () => {
  it('reads a report', () => {
    const report = { writes: 1n, checks: 2n, mismatches: 3n, uptimeS: 4.5 };
    expect(parseDiskstamp('1 2 3 4.500\n')).toEqual(report);
  });
});

describe('parseDiskload', () => {
  it('reads a report', () => {
    expect(parseDiskload('1234 2.001 350.5 1200.0 2.527\n')).toEqual({
      writes: 1234,
      seconds: 2.001,
      p50Us: 350.5,
      p99Us: 1200,
      megabytesPerSecond: 2.527,
    });
  });

  it.each(['', 'error: /dev/vda: Input/output error\n', '1 2 3 4 5\n'])('refuses "%s"', (line) => {
    expect(parseDiskload(line)).toBeUndefined();
  });
});

describe('parseMemstamp', () => {
  it('reads a report', () => {
    expect(parseMemstamp('12 345 0 7.125\n')).toEqual({
      generation: 12n,
      checks: 345n,
      mismatches: 0n,
      uptimeS: 7.125,
    });
  });

  it.each(['', '1 2 3', '1 2 3 4', '-1 2 3 4.000', '1 2 3 4.000 5'])('refuses "%s"', (line) => {
    expect(parseMemstamp(line)).toBeUndefined();
  });
});
