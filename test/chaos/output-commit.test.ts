/**
 * Twenty-four kills of a guest that stamps a growing counter into every kind of packet, to and fro, each
 * way in which a host can fail, at random moments: the outside is never ahead of the checkpoint.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Lab } from '../../src/lab/lab.js';
import { type Random, seededRandom } from '../integration/disk-steps.js';
import { labPrefix } from '../integration/lab-steps.js';
import {
  brokenBy,
  brokenInAll,
  endTalk,
  goThroughTurn,
  KILLS,
  type Kill,
  type Protection,
  startTalk,
  startTalkScene,
  type Talk,
  type TalkScene,
} from '../integration/output-commit-steps.js';

const PREFIX = labPrefix('occ');
const KILLS_PER_POLICY = 8;
const KILL_NAMES = Object.keys(KILLS) as Kill[];

const protections: readonly (readonly [string, Protection])[] = [
  ['fixed 25 ms', { policy: 'fixed', intervalMs: 25 }],
  ['fixed 50 ms', { policy: 'fixed', intervalMs: 50 }],
  ['adaptive', { policy: 'adaptive' }],
];

/** Every way once, in an order of its own, and again. */
function* killsInTurn(random: Random): Generator<Kill, never> {
  for (;;) {
    const left = [...KILL_NAMES];
    while (left.length > 0) yield* left.splice(Math.floor(random() * left.length), 1);
  }
}

describe('the output of a protected guest', () => {
  const { seed, random } = seededRandom();
  console.log(`UNDERSTUDY_SEED=${seed}`);
  const kills = killsInTurn(random);
  let scene: TalkScene;
  let talk: Talk;
  let kill = 0;
  let heldBack = 0;

  beforeAll(async () => {
    scene = await startTalkScene(PREFIX);
  });
  afterEach(() => endTalk(scene, talk));
  afterAll(async () => {
    await scene?.witness.close();
    await Lab.tearDown(PREFIX);
  });

  it.each(
    protections,
  )('is never ahead of its checkpoint: %s, eight kills', async (name, protection) => {
    talk = await startTalk(scene, name.replace(/ /g, ''));
    for (let turn = 0; turn < KILLS_PER_POLICY; turn += 1) {
      kill += 1;
      const from = turn % 2 === 0 ? 'a' : 'b';
      const how = { from, kill: kills.next().value, protection, random } as const;
      const { verdict, line } = await goThroughTurn(scene, talk, how);
      console.log(`${kill}: ${line}`);
      expect(brokenBy(verdict), line).toEqual([]);
      heldBack += verdict.heldBack;
    }
    expect(await brokenInAll(scene, talk)).toEqual([]);
  });

  it('was held back at the kills', () => {
    // Otherwise nothing could have been ahead, and the comparison would have shown nothing.
    console.log(`${heldBack} packets were never heard`);
    expect(heldBack).toBeGreaterThan(kill);
  });
});
