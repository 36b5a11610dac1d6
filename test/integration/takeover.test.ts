/**
 * The whole story, as the demo tells it: output commit and the client's one connection through the death
 * of the primary. And the proof that the figure would show it: output held open on purpose.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runDemo } from '../../src/lab/demo/demo.js';
import { type DemoOptions, promiseKept } from '../../src/lab/demo/figures.js';
import type { Narrator } from '../../src/lab/demo/stage.js';
import { Lab } from '../../src/lab/lab.js';
import { labPrefix, PATIENT_MISSED } from './lab-steps.js';

const PREFIX = labPrefix('to');
const silent: Narrator = { phase: noop, syncing: noop, epochs: noop };
const plain: DemoOptions = {
  memoryMib: 256,
  vcpus: 1,
  machine: 'q35',
  policy: {},
  durationS: 2,
  kill: 'qemu',
  faults: [],
  heartbeatMissed: PATIENT_MISSED,
};

function noop(): void {
  // The story is told elsewhere.
}

describe('a takeover', () => {
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
    ['QEMU of a q35 guest', plain],
    [
      'the whole host of a pc guest with 2 vCPUs',
      { ...plain, machine: 'pc', vcpus: 2, kill: 'host', heartbeatMissed: undefined },
    ],
  ] as const)('after the death of %s keeps every promise', async (_what, options) => {
    const figures = await runDemo(options, silent);
    console.log(JSON.stringify(figures));
    expect(figures).toMatchObject({
      lost_writes: 0,
      tcp_survived: true,
      guest_uptime_continued: true,
      released_uncommitted_packets: 0,
    });
    expect(figures.acked_writes).toBeGreaterThan(100);
    expect(figures.epochs).toBeGreaterThan(10);
    expect(promiseKept(figures)).toBe(true);
  });

  it('is caught when output was not held', async () => {
    // Long epochs, so that the guest says much that its backup never hears of.
    const figures = await runDemo(
      { ...plain, policy: { intervalMs: 500 }, faults: ['hold-open'] },
      silent,
    );
    expect(figures.released_uncommitted_packets).toBeGreaterThan(0);
    expect(promiseKept(figures)).toBe(false);
  });
});
