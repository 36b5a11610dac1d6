/** Thirty kills of guests that verify their own disks: QEMU or host, at random moments, to and fro. */
import { afterEach, beforeEach, describe, it } from 'vitest';
import { Lab } from '../../src/lab/lab.js';
import {
  goThroughKills,
  type Scene,
  seededRandom,
  startScene,
  startVerifiedGuest,
} from '../integration/disk-steps.js';
import { labPrefix } from '../integration/lab-steps.js';

const PREFIX = labPrefix('dk');
const GUESTS = 5;
const KILLS_PER_GUEST = 6;

describe('thirty kills of guests with disks', () => {
  const { seed, random } = seededRandom();
  console.log(`UNDERSTUDY_SEED=${seed}`);
  let scene: Scene;

  beforeEach(async () => {
    scene = await startScene(PREFIX);
  });
  afterEach(async () => {
    await scene?.witness.close();
    await Lab.tearDown(PREFIX);
  });

  it.each(
    Array.from({ length: GUESTS }, (_, index) => index + 1),
  )(`leave no wrong block: guest %i, ${KILLS_PER_GUEST} kills`, async (number) => {
    const guest = await startVerifiedGuest(scene, `disks${number}`, 1 + (number % 2));
    const intervalsMs = [25, 50, 100];
    await goThroughKills(scene, { guest, kills: KILLS_PER_GUEST, intervalsMs, random });
  });
});
