/**
 * Fifty faults of all kinds in a row on one pair, from a seed (UNDERSTUDY_SEED repeats one): the domain is protected again
 * after each, without help, and nothing that was answered or heard is lost. Then the same judge with a planted bug.
 */
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { afterEach, describe, expect, it } from 'vitest';
import type { Step } from '../../src/chaos/faults.js';
import { labStage } from '../../src/chaos/lab-stage.js';
import { htmlReport } from '../../src/chaos/report.js';
import { runChaos } from '../../src/chaos/run.js';
import { scheduleFrom } from '../../src/chaos/schedule.js';
import { type ChaosVerdict, verdictOf } from '../../src/chaos/verdict.js';
import { Lab } from '../../src/lab/lab.js';
import { labPrefix } from '../integration/lab-steps.js';

const PREFIX = labPrefix('ff');
const FAULTS = 50;
const SEED = Number(process.env.UNDERSTUDY_SEED ?? 20_261_122) >>> 0;
/** Half a minute a fault on a busy machine. */
const TIMEOUT_MS = 2_400_000;

async function verdictAfter(
  steps: readonly Step[],
  { unsafeFaults = [], seed }: { unsafeFaults?: string[]; seed?: number },
): Promise<ChaosVerdict> {
  const stage = await labStage({ prefix: PREFIX, memoryMib: 256, unsafeFaults });
  try {
    const command = `understudy-chaos --lab --seed ${seed} --faults ${steps.length}`;
    const facts = await runChaos(
      stage,
      {
        steps,
        ...(seed === undefined ? {} : { seed }),
        command,
        keepGoing: false,
        signal: new AbortController().signal,
      },
      { line: (text) => console.log(text) },
    );
    const verdict = verdictOf(facts);
    const report = `${tmpdir()}/understudy-chaos-${seed ?? 'planted'}.html`;
    await writeFile(report, htmlReport(facts, verdict));
    console.log(`report: ${report}`);
    return verdict;
  } finally {
    await stage.close();
  }
}

describe('a pair of hosts', () => {
  afterEach(() => Lab.tearDown(PREFIX));

  it(
    `survives ${FAULTS} faults in a row without help: seed ${SEED}`,
    async () => {
      const verdict = await verdictAfter(scheduleFrom(SEED, FAULTS), { seed: SEED });
      expect(verdict.broken).toEqual([]);
      expect(verdict.faults).toHaveLength(FAULTS);
      // Otherwise nobody was there to lose anything to.
      expect(verdict.promotions).toBeGreaterThan(5);
      expect(verdict.ackedWrites).toBeGreaterThan(FAULTS * 20);
    },
    TIMEOUT_MS,
  );

  it(
    'is seen to break its promise when output leaves before it is acknowledged',
    async () => {
      const cut = { fault: 'cut-repl', on: 'primary', way: 'both', afterMs: 500 } as const;
      const steps = [{ ...cut, lastsMs: 4_000 }];
      const verdict = await verdictAfter(steps, { unsafeFaults: ['release-when-shipped'] });
      expect(verdict.ok).toBe(false);
      expect(verdict.broken.join('\n')).toMatch(/packets were heard that the guest has forgotten/);
    },
    TIMEOUT_MS,
  );
});
