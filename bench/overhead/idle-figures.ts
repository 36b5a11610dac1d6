/** Row and table of an idle guest’s cost, from what every process used. Pure. */
import { medianOf, type Row, row, type Table } from '../harness.js';
import { IDLE_CORE_PERCENT_MAX } from '../limits.js';
import type { CpuByKind } from './cpu-time-lines.js';

/** Percent of one core by host; one for each round. */
export type IdleLooks = Record<'unprotected' | 'adaptive', Record<'a' | 'b', CpuByKind>[]>;

const PARTS = ['session', 'agent', 'QEMU, extra', 'libvirtd, extra', 'other, extra'] as const;

export function idleFigures(looks: IdleLooks): { rows: Row[]; table: Table } {
  const a = addedOn('a', looks);
  const b = addedOn('b', looks);
  const sum = (parts: readonly number[]): number => parts.reduce((total, one) => total + one, 0);
  return {
    rows: [
      row({
        name: 'idle_core_percent',
        value: Math.max(sum(a), sum(b)),
        unit: '%',
        floor: 0,
        limit: IDLE_CORE_PERCENT_MAX,
      }),
    ],
    table: {
      name: 'overhead-idle',
      title: 'What protecting an idle guest takes of a core (adaptive)',
      kind: 'bars',
      x: { label: 'what', values: [...PARTS, 'in all'] },
      y: '% of one core',
      series: [
        { name: 'host a, primary', values: [...a, sum(a)] },
        { name: 'host b, backup', values: [...b, sum(b)] },
      ],
    },
  };
}

/** In the order of PARTS. Agent and session are ours also where no guest is protected. */
function addedOn(host: 'a' | 'b', looks: IdleLooks): number[] {
  const used = (mode: keyof IdleLooks, kind: keyof CpuByKind): number =>
    medianOf(looks[mode], (look) => look[host][kind]);
  const extra = (kind: keyof CpuByKind): number =>
    used('adaptive', kind) - used('unprotected', kind);
  return [
    used('adaptive', 'session'),
    used('adaptive', 'agent'),
    extra('QEMU'),
    extra('libvirtd'),
    extra('other'),
  ];
}
