/**
 * Output commit on real machines: a guest stamps a growing counter into every kind of packet it sends.
 * After a takeover, no counter may ever have been heard outside that the resumed guest has not reached.
 * And the proof that it would be noticed: output held open, and released before its commit.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Fault } from '../../src/epoch/faults.js';
import { Lab } from '../../src/lab/lab.js';
import { seededRandom } from './disk-steps.js';
import { labPrefix } from './lab-steps.js';
import {
  brokenBy,
  brokenInAll,
  endTalk,
  goThroughTurn,
  startTalk,
  startTalkScene,
  type Talk,
  type TalkScene,
} from './output-commit-steps.js';

const PREFIX = labPrefix('oc');
/** A fault strikes only when the kill falls between a release and its commit: it may take some. */
const KILLS_UNTIL_CAUGHT_MAX = 4;

describe('the output of a protected guest', () => {
  const { seed, random } = seededRandom();
  console.log(`UNDERSTUDY_SEED=${seed}`);
  let scene: TalkScene;
  let talk: Talk;

  beforeAll(async () => {
    scene = await startTalkScene(PREFIX);
  });
  afterAll(async () => {
    await scene?.witness.close();
    await Lab.tearDown(PREFIX);
  });
  afterEach(() => endTalk(scene, talk));

  it('is never ahead of its checkpoint, in no kind of packet, when QEMU or the host is killed', async () => {
    talk = await startTalk(scene, 'talker');
    for (const turn of [
      { from: 'a', kill: 'qemu' },
      { from: 'b', kill: 'host' },
    ] as const) {
      const protection = { intervalMs: 50 };
      const { verdict, line } = await goThroughTurn(scene, talk, { ...turn, protection, random });
      console.log(line);
      expect(brokenBy(verdict), line).toEqual([]);
    }
    expect(await brokenInAll(scene, talk)).toEqual([]);
  });

  it.each([
    'hold-open',
    'release-early',
  ] satisfies Fault[])('is caught with the planted fault %s', async (fault) => {
    talk = await startTalk(scene, fault);
    let forgotten = 0;
    for (let kill = 0; kill < KILLS_UNTIL_CAUGHT_MAX && forgotten === 0; kill += 1) {
      const from = kill % 2 === 0 ? 'a' : 'b';
      const protection = { intervalMs: 100, faults: [fault] };
      const turn = { from, kill: 'uncommitted', protection, random } as const;
      const { verdict, line } = await goThroughTurn(scene, talk, turn);
      console.log(`${fault}: ${line}`);
      forgotten = verdict.forgotten;
    }
    expect(forgotten).toBeGreaterThan(0);
  });
});
