/** Schedules from a seed, and from a file with its errors. */
import { describe, expect, it } from 'vitest';
import { FAULT_NAMES, kindOf, noteOf } from '../../../src/chaos/faults.js';
import { scheduleFrom } from '../../../src/chaos/schedule.js';
import { parseSchedule } from '../../../src/chaos/schedule-file.js';

const VARIANTS = FAULT_NAMES.reduce((sum, name) => sum + kindOf(name).sides.length, 0);

describe('a schedule from a seed', () => {
  it('is the same for the same seed, and another one for the next', () => {
    expect(scheduleFrom(7, 50)).toEqual(scheduleFrom(7, 50));
    expect(scheduleFrom(7, 50)).not.toEqual(scheduleFrom(8, 50));
    expect(scheduleFrom(7, 20)).toEqual(scheduleFrom(7, 50).slice(0, 20));
  });

  it('has every kind on every side before any of them twice', () => {
    const seen = scheduleFrom(1, VARIANTS).map(({ fault, on }) => `${fault} ${on}`);
    expect(new Set(seen).size).toBe(VARIANTS);
    expect(seen).toContain('crash-host primary');
  });

  it.each([1, 2, 3, 4, 5])('puts each fault where it makes sense, for a time: seed %i', (seed) => {
    for (const step of scheduleFrom(seed, 60)) {
      const { sides, lasts, act } = kindOf(step.fault);
      expect(sides).toContain(step.on);
      expect(step.lastsMs > 0, noteOf(step)).toBe(lasts);
      if (act.do !== 'cut') expect(step.way).toBe('both');
    }
    const ways = scheduleFrom(seed, 200).map(({ way }) => way);
    expect(new Set(ways)).toEqual(new Set(['both', 'in', 'out']));
  });

  it('keeps to the kinds that were asked for', () => {
    const steps = scheduleFrom(3, 9, ['fill-disks', 'kill-qemu']);
    expect(new Set(steps.map(({ fault }) => fault))).toEqual(new Set(['fill-disks', 'kill-qemu']));
  });

  it('reads like notes', () => {
    const step = {
      fault: 'cut-repl',
      on: 'backup',
      way: 'in',
      afterMs: 1_200,
      lastsMs: 400,
    } as const;
    expect(noteOf(step)).toBe(
      '1.2 s protected, then backup: the replication link is cut (what comes in), for 0.4 s',
    );
    expect(noteOf({ ...step, fault: 'kill-agent', lastsMs: 0 })).toBe(
      '1.2 s protected, then backup: the agent is killed',
    );
  });
});

describe('a schedule from a file', () => {
  it('fills in what is not said', () => {
    const text = [
      'faults:',
      '  - fault: cut-repl',
      '    on: primary',
      '    way: out',
      '    after: 250ms',
      '    for: 1.5s',
      '  - {fault: kill-qemu, on: backup}',
      '  - {fault: stop-agent, on: backup, after: 2min}',
    ].join('\n');
    expect(parseSchedule(text, 'plan.yaml')).toEqual([
      { fault: 'cut-repl', on: 'primary', way: 'out', afterMs: 250, lastsMs: 1_500 },
      { fault: 'kill-qemu', on: 'backup', way: 'both', afterMs: 0, lastsMs: 0 },
      { fault: 'stop-agent', on: 'backup', way: 'both', afterMs: 120_000, lastsMs: 2_000 },
    ]);
  });

  it.each([
    ['faults:\n  - fault: kill-quemu\n    on: primary\n', 2, 'faults.0.fault'],
    ['faults:\n  - fault: kill-qemu\n    on: both\n', 3, 'faults.0.on'],
    ['faults:\n  - fault: kill-qemu\n    on: backup\n    for: 2s\n', 4, 'does not last'],
    ['faults:\n  - fault: stop-qemu\n    on: backup\n    way: in\n', 4, 'no cut'],
    ['faults:\n  - fault: stop-qemu\n    on: backup\n    for: 2 hours\n', 4, 'not a time'],
    ['faults:\n  - fault: stop-qemu\n    on: backup\n    for: 61min\n', 4, 'not a time'],
    ['faults:\n  - fault: fill-disks\n    on: primary\n', 3, 'only for the backup'],
    ['faults:\n  - fault: kill-qemu\n    on: backup\n    until: noon\n', 2, 'until'],
    ['faults: []\n', 1, 'faults'],
    ['nothing: here\n', 1, 'faults'],
    ['faults:\n  - {fault: kill-qemu\n', 3, ''],
    ['', 1, ''],
  ])('%j is refused with its line', (text, line, why) => {
    expect(() => parseSchedule(text, 'plan.yaml')).toThrow(
      expect.objectContaining({
        code: 'CHAOS_SCHEDULE_INVALID',
        message: expect.stringMatching(new RegExp(`^plan\\.yaml:${line}: .*${why}`)),
      }),
    );
  });
});
