/** The proof of output commit for one backend of the hold, and the proof that it would notice. */
import { describe, expect, it } from 'vitest';
import type { HoldBackendName } from '../../../src/netbuffer/output-hold.js';
import { runSchedule } from './schedule.js';
import { type Planted, type Settings, STRIKES, type Verdict } from './settings.js';
import { MOMENTS } from './world.js';

/** Schedules, each with one kill, per backend and policy. */
export const KILLS = 1_000;
/** Schedules in which nothing fails but pauses. */
const QUIET = 100;
/** Events that a failure shows. */
const TRACE_LINES = 60;
/** A thousand schedules take some seconds; a busy machine takes longer. */
export const TIMEOUT_MS = 180_000;

/** OUTPUT_COMMIT_SEED=17 runs only the schedules of that seed, as a failure names it. */
export const onlySeed = process.env.OUTPUT_COMMIT_SEED;

/** One verdict per schedule; throws at the first that broke a promise, with what is needed to look into it. */
export async function mustHold(
  settings: Omit<Settings, 'seed'>,
  schedules: number,
): Promise<Verdict[]> {
  const seeds = onlySeed === undefined ? [...Array(schedules).keys()] : [Number(onlySeed)];
  const verdicts: Verdict[] = [];
  for (const seed of seeds) {
    const verdict = await runSchedule({ ...settings, seed });
    if (verdict.violations.length > 0) throw await explained({ ...settings, seed }, verdict);
    verdicts.push(verdict);
  }
  return verdicts;
}

async function explained(settings: Settings, { violations }: Verdict): Promise<Error> {
  const { seed, backend, policy, consistency } = settings;
  const { trace } = await runSchedule(settings, true);
  const again = `OUTPUT_COMMIT_SEED=${seed} npx vitest run --project unit test/unit/output-commit`;
  const lines = [
    `${backend}, ${policy}, ${consistency}: ${violations.join('; ')}`,
    `again: ${again}`,
    // What the guest says on after a strike, held or lost, explains nothing.
    ...trace.filter((event) => !event.includes('guest sends')).slice(-TRACE_LINES),
  ];
  return new Error(lines.join('\n'));
}

/** How many schedules pass until one shows the mistake in this way; undefined when none does. */
export async function noticedAfter(
  settings: Omit<Settings, 'seed'> & { planted: Planted },
  as: string,
): Promise<number | undefined> {
  for (let seed = 0; seed < KILLS; seed += 1) {
    const { violations } = await runSchedule({ ...settings, seed });
    if (violations.some((violation) => violation.includes(as))) return seed;
  }
  return undefined;
}

/** How the loss of output commit shows. */
export const LOST = 'outside has seen';

const MISTAKES: readonly Planted[] = [
  'hold opened',
  'released at the pause',
  'released before the commit',
  'sent counts as committed',
  'acknowledged before whole',
  'boundary after the resume',
  'promoted and still committing',
];

export function provesOutputCommit(backend: HoldBackendName): void {
  const strong = { backend, consistency: 'strong', strikes: true } as const;
  const timeout = TIMEOUT_MS;

  describe.each(['fixed', 'adaptive', 'overlapping'] as const)('%s', (policy) => {
    it(`loses nothing that was seen outside, in ${KILLS} kills`, { timeout }, async () => {
      const verdicts = await mustHold({ ...strong, policy }, KILLS);
      if (onlySeed === undefined) expectVariety(verdicts, backend);
    });

    it('lets everything leave in the end when nothing fails', { timeout }, async () => {
      await mustHold({ ...strong, policy, strikes: false }, QUIET);
    });
  });

  describe.skipIf(onlySeed !== undefined)('a planted mistake is noticed', () => {
    it.each(MISTAKES)('%s', { timeout }, async (planted) => {
      for (const policy of ['fixed', 'adaptive'] as const) {
        expect(await noticedAfter({ ...strong, policy, planted }, LOST)).toBeDefined();
      }
    });
  });

  it('a seed repeats its schedule to the last event', async () => {
    for (const policy of ['fixed', 'adaptive', 'overlapping'] as const) {
      const [once, again] = [
        await runSchedule({ ...strong, policy, seed: 7 }, true),
        await runSchedule({ ...strong, policy, seed: 7 }, true),
      ];
      expect(once.trace.length).toBeGreaterThan(20);
      expect(again).toEqual(once);
    }
  });
}

/** Every kind of failure at every moment, mostly in the middle of a conversation. */
function expectVariety(verdicts: readonly Verdict[], backend: HoldBackendName): void {
  const count = (is: (verdict: Verdict) => boolean): number => verdicts.filter(is).length;
  const rareStrikes = STRIKES.filter((strike) => count((v) => v.strike === strike) < KILLS / 10);
  expect(rareStrikes).toEqual([]);
  const rareMoments = MOMENTS.filter((moment) => count((v) => v.moment === moment) < KILLS / 200);
  // The holder has room for any number of epochs.
  expect(rareMoments).toEqual(backend === 'plug' ? [] : ['merged']);
  expect(count((v) => v.seen > 0 && (v.promotion?.epoch ?? 0) > 0)).toBeGreaterThan(KILLS / 2);
  expect(count((v) => v.dropped > 0)).toBeGreaterThan(0);
}
