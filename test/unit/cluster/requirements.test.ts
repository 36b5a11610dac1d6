import { describe, expect, it } from 'vitest';
import { CLOCK_DIFFERENCE_MS_MAX } from '../../../src/cluster/limits.js';
import { judgeProbe } from '../../../src/cluster/requirements.js';

const NOW = 1_790_000_000_000;
const GOOD = {
  time: String(NOW),
  uid: '0',
  system: 'Linux x86_64',
  hostname: 'B',
  node: '20.19.0',
  libvirt: 'libvirtd (libvirt) 9.0.0',
  qemu: 'QEMU emulator version 7.2.17',
  understudy: '0.1.0',
  package: '/usr/lib/node_modules/understudy',
  systemd: '',
};

function probe(changes: Partial<typeof GOOD>, hereMs = NOW) {
  const lines = Object.entries({ ...GOOD, ...changes }).map(([name, value]) => `${name}=${value}`);
  return judgeProbe(`${lines.join('\n')}\n`, hereMs);
}

describe('what a host must have', () => {
  it('is there', () => {
    expect(probe({}, NOW + 400)).toEqual({
      lacks: [],
      facts: {
        timeMs: NOW,
        hostname: 'b',
        understudy: '0.1.0',
        packageDir: '/usr/lib/node_modules/understudy',
        systemd: false,
      },
    });
    expect(probe({ systemd: 'yes' }).facts.systemd).toBe(true);
  });

  it.each([
    [{ uid: '1000' }, /not root/],
    [{ system: 'Linux aarch64' }, /aarch64/],
    [{ node: '' }, /no Node/],
    [{ node: '20.18.9' }, /20\.18\.9/],
    [{ node: '18.20.0' }, /18\.20\.0/],
    [{ libvirt: '' }, /libvirt/],
    [{ qemu: '' }, /QEMU/],
    [{ understudy: '' }, /understudy/],
    [{ time: String(NOW - CLOCK_DIFFERENCE_MS_MAX - 1) }, /NTP/],
    [{ time: '' }, /NTP/],
  ])('is named when it is missing: %j', (changes, lack) => {
    expect(probe(changes).lacks).toEqual([expect.stringMatching(lack)]);
  });

  it('newer is fine', () => {
    for (const node of ['20.20.2', '22.0.0', '24.1.0']) expect(probe({ node }).lacks).toEqual([]);
  });

  it('is listed all at once, also when there is no answer at all', () => {
    expect(judgeProbe('', NOW).lacks).toHaveLength(7);
  });
});
