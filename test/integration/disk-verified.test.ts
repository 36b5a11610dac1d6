/**
 * Disks of exactly the memory's epoch: a guest that keeps in memory what it wrote to its disks, and
 * reads them back all the time, goes from host to host and never finds a wrong block. And the
 * proof that it would: disk writes counted to the wrong epoch on purpose.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Lab } from '../../src/lab/lab.js';
import {
  disksVerified,
  goThroughKills,
  type Scene,
  seededRandom,
  startScene,
  startVerifiedGuest,
} from './disk-steps.js';
import { killQemu, labPrefix, waitTakeover } from './lab-steps.js';

const PREFIX = labPrefix('dv');
const KILLS = 4;
/** A kill with its verification takes 10 s alone, and several times that on shared cores. */
const TIMEOUT_MS = KILLS * 120_000;

describe('a guest that verifies its own disks', () => {
  let scene: Scene;

  beforeEach(async () => {
    scene = await startScene(PREFIX);
  });
  afterEach(async () => {
    await scene?.witness.close();
    await Lab.tearDown(PREFIX);
  });

  it(
    `goes through ${KILLS} kills without a wrong block`,
    async () => {
      const { seed, random } = seededRandom();
      console.log(`UNDERSTUDY_SEED=${seed}`);
      const guest = await startVerifiedGuest(scene, 'verified', 2);
      await goThroughKills(scene, { guest, kills: KILLS, intervalsMs: [25, 50], random });
    },
    TIMEOUT_MS,
  );

  it('finds wrong blocks when writes are counted to the next epoch on purpose', async () => {
    const guest = await startVerifiedGuest(scene, 'shifted');
    // Long epochs, so that the last of them has writes that the replica's disks then lack.
    await scene.pair.protect(guest.name, { intervalMs: 200, faults: ['shift-barrier'] });
    expect((await disksVerified(scene, guest.ip)).mismatches).toBe(0n);
    await killQemu(scene.pair, 'a', guest.name);
    await waitTakeover(scene.pair, 'b', guest.name);
    expect((await disksVerified(scene, guest.ip)).mismatches).toBeGreaterThan(0n);
  });
});
