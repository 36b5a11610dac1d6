import { describe, expect, it } from 'vitest';
import { judgeConsole } from '../../../src/lab/console.js';
import { domainXml, kernelArguments } from '../../../src/lab/domain-xml.js';
import { checkedPrefix, guestAddress, libvirtUri } from '../../../src/lab/layout.js';
import { CONSOLE_BYTES_MAX } from '../../../src/lab/limits.js';
import { parseMemstamp } from '../../../src/lab/witness.js';

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
    expect(xml).not.toMatch(/<(video|graphics|disk)/);
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
