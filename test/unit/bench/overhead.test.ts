import { describe, expect, it } from 'vitest';
import {
  type CpuByKind,
  kindOf,
  parseStatSeconds,
  usedPercent,
} from '../../../bench/overhead/cpu-time-lines.js';
import { idleFigures } from '../../../bench/overhead/idle-figures.js';

describe('a process of a host', () => {
  it.each([
    [['node', '/opt/understudy/dist/agent/session-main.js', 'primary'], 'session'],
    [['/usr/bin/node', '--enable-source-maps', '/opt/understudy/bin/understudyd'], 'agent'],
    [['/usr/bin/qemu-system-x86_64', '-name', 'guest=understudyd'], 'QEMU'],
    [['/usr/sbin/libvirtd', '-f', '/etc/libvirt/libvirtd.conf'], 'libvirtd'],
    [['tini', '--', '/usr/sbin/libvirtd'], 'other'],
  ])('is known by its command line: %j', (commandLine, kind) => {
    expect(kindOf(commandLine)).toBe(kind);
  });
});

describe('processor time', () => {
  it('is read past a name with spaces and parentheses', () => {
    const fields = ['S', ...Array(10).fill('1'), '150', '75', '7', '8'];
    expect(parseStatSeconds(`42 (a) b (c)) ${fields.join(' ')}`)).toBe(2.25);
  });

  it('is the difference of two looks, of new processes all', () => {
    const before = new Map([
      [1, { kind: 'agent' as const, seconds: 10 }],
      [2, { kind: 'session' as const, seconds: 3 }],
    ]);
    const after = new Map([
      [1, { kind: 'agent' as const, seconds: 10.5 }],
      [3, { kind: 'session' as const, seconds: 1 }],
      [4, { kind: 'session' as const, seconds: 1 }],
    ]);
    expect(usedPercent(before, after, 20)).toEqual({
      ...{ agent: 2.5, session: 10, QEMU: 0, libvirtd: 0, other: 0 },
    });
  });
});

describe('the cost of an idle guest', () => {
  const used = (changed: Partial<CpuByKind>): CpuByKind => ({
    ...{ session: 0, agent: 0, QEMU: 0, libvirtd: 0, other: 0 },
    ...changed,
  });

  it('is all of ours and what the others use more, on the worse side', () => {
    const unprotected = { a: used({ agent: 0.5, QEMU: 4, libvirtd: 0.25 }), b: used({}) };
    const adaptive = {
      a: used({ agent: 0.5, session: 1, QEMU: 4.5, libvirtd: 0.5 }),
      b: used({ session: 0.75 }),
    };
    const { rows, table } = idleFigures({ unprotected: [unprotected], adaptive: [adaptive] });
    expect(rows).toMatchObject([{ name: 'idle_core_percent', value: 2.25, ok: true }]);
    expect(table.series.map(({ values }) => values)).toEqual([
      [1, 0.5, 0.5, 0.25, 0, 2.25],
      [0.75, 0, 0, 0, 0, 0.75],
    ]);
  });
});
