/** Twenty demos in a row, each with its kill at a random moment, hosts and QEMUs in turn. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { spreadOf } from '../../src/epoch/records.js';
import { runDemo } from '../../src/lab/demo/demo.js';
import { promiseKept } from '../../src/lab/demo/figures.js';
import { Lab } from '../../src/lab/lab.js';

const PREFIX = 'ust-ch';
const KILLS = 20;
const noop = (): void => undefined;

describe('twenty kills', () => {
  beforeAll(() => {
    process.env.UNDERSTUDY_LAB_PREFIX = PREFIX;
  });
  afterAll(() => Lab.tearDown(PREFIX));

  it('lose nothing and release nothing early', async () => {
    const outages: number[] = [];
    for (let round = 0; round < KILLS; round += 1) {
      const figures = await runDemo(
        {
          memoryMib: 256,
          vcpus: 1 + (round % 2),
          machine: round % 4 < 2 ? 'q35' : 'pc',
          policy: [{}, { intervalMs: 25 }, { intervalMs: 100 }][round % 3] ?? {},
          durationS: 1,
          kill: round % 2 === 0 ? 'qemu' : 'host',
          faults: [],
        },
        { phase: noop, syncing: noop, epochs: noop },
      );
      console.log(`${round + 1}: ${JSON.stringify(figures)}`);
      expect(promiseKept(figures), `kill ${round + 1}`).toBe(true);
      outages.push(figures.outage_ms);
    }
    console.log(`client's longest wait: ${JSON.stringify(spreadOf(outages))} ms`);
  });
});
