/** The demo's scenarios that change sides: states in their order, and every promise kept. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runDemo } from '../../src/lab/demo/demo.js';
import { promiseKept } from '../../src/lab/demo/figures.js';
import { Lab } from '../../src/lab/lab.js';
import { labPrefix, PATIENT_MISSED } from './lab-steps.js';

const PREFIX = labPrefix('sc');
const noop = (): void => undefined;

describe('a scenario', () => {
  const before = process.env.UNDERSTUDY_LAB_PREFIX;
  beforeAll(() => {
    process.env.UNDERSTUDY_LAB_PREFIX = PREFIX;
  });
  afterAll(async () => {
    if (before === undefined) delete process.env.UNDERSTUDY_LAB_PREFIX;
    else process.env.UNDERSTUDY_LAB_PREFIX = before;
    await Lab.tearDown(PREFIX);
  });

  it.each([
    'reprotect',
    'switchover',
    'partition',
  ] as const)('%s keeps every promise', async (scenario) => {
    const figures = await runDemo(
      {
        scenario,
        ...{ memoryMib: 256, vcpus: 1, machine: 'q35' },
        ...{ policy: {}, durationS: 1, kill: 'qemu', faults: [] },
        heartbeatMissed: PATIENT_MISSED,
      },
      { phase: noop, syncing: noop, epochs: noop },
    );
    console.log(JSON.stringify(figures));
    expect(figures.unseen_states).toEqual([]);
    expect(figures.turns).toHaveLength(scenario === 'partition' ? 3 : 2);
    expect(figures.acked_writes).toBeGreaterThan(100);
    // What was heard of both proves something only when the cut-off guests did talk.
    if (scenario === 'partition') expect(figures.listener?.held_back).toBeGreaterThan(100);
    expect(promiseKept(figures)).toBe(true);
  });
});
