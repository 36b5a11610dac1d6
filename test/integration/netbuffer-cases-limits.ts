/** Limits: what is told on the way to them, what is lost beyond them, and what is not. */
import assert from 'node:assert/strict';
import type { OutputHold } from '../../src/netbuffer/output-hold.js';
import type { HoldCase } from './netbuffer-contract.js';
import { until } from './netbuffer-net.js';
import { numbers, releaseAll } from './netbuffer-stage.js';

const FRAME_BYTES = 1_000;
const BURST_FRAMES = 10_000;
/** A sender that does not wait for the guest's own interface would lose frames there. */
const CHUNK_FRAMES = 500;

/** Every packet sent so far is either held or counted as lost. */
function untilCounted(hold: OutputHold, packets: number): Promise<void> {
  const counted = () => hold.stats().heldPackets + hold.stats().overflowPackets;
  return until(
    () => `${packets} are counted, not ${counted()}`,
    () => counted() === packets,
  );
}

export const limitCases: readonly HoldCase[] = [
  {
    name: 'drops and counts what comes beyond the limit of bytes, and says so once until a release',
    run: async (scene) => {
      const { hold, told } = await scene.begin({ limitBytes: 50 * FRAME_BYTES });
      await scene.burst(1, 100, FRAME_BYTES);
      await untilCounted(hold, 100);
      await until('it is told', () => told.troubles.length > 0);
      // A backend may count headers of its own.
      const kept = hold.stats().heldPackets;
      assert.ok(kept >= 45 && kept <= 50, `${kept} packets are held`);
      assert.equal(await releaseAll(hold, 1), kept);
      await scene.untilSeen(1, kept);
      assert.deepEqual(
        told.troubles.map(({ kind }) => kind),
        ['overflow'],
      );
      const lost = hold.stats().overflowPackets;
      await scene.burst(101, 200, FRAME_BYTES);
      await untilCounted(hold, lost + 100);
      await until('the second overflow is told', () => told.troubles.length === 2);
      const more = hold.stats().heldPackets;
      assert.equal(await releaseAll(hold, 100), more);
      assert.deepEqual(await scene.seen(), [...numbers(1, kept), ...numbers(101, 100 + more)]);
    },
  },
  {
    name: 'drops and counts what comes beyond the limit of packets',
    // The kernel's qdisc counts bytes; its packets are only looked at now and again.
    only: ({ name }) => name === 'holder',
    run: async (scene) => {
      const { hold, told } = await scene.begin({ limitPackets: 8 });
      await scene.burst(1, 20);
      await until('the rest is counted', () => hold.stats().overflowPackets === 12);
      await until('it is told', () => told.troubles.length > 0);
      assert.equal(await releaseAll(hold, 1), 8);
      await scene.untilSeen(1, 8);
      assert.deepEqual(
        told.troubles.map(({ kind }) => kind),
        ['overflow'],
      );
    },
  },
  {
    name: 'says once between two releases that more than half of a limit is held',
    run: async (scene) => {
      const { hold, told } = await scene.begin({ limitBytes: 100 * FRAME_BYTES });
      await scene.burst(1, 40, FRAME_BYTES);
      await scene.held(hold, 40);
      assert.equal(told.filling, 0);
      await scene.burst(41, 60, FRAME_BYTES);
      await scene.held(hold, 60);
      await until('it is told', () => told.filling > 0);
      await scene.burst(61, 80, FRAME_BYTES);
      await scene.held(hold, 80);
      assert.equal(told.filling, 1);
      await releaseAll(hold, 1);
      await scene.burst(81, 140, FRAME_BYTES);
      await until('it is told again', () => told.filling === 2);
      assert.deepEqual(told.troubles, []);
    },
  },
  {
    name: `lets ${BURST_FRAMES} frames go at once, none lost, in order`,
    run: async (scene) => {
      const { hold, told } = await scene.begin();
      for (let sent = 0; sent < BURST_FRAMES; sent += CHUNK_FRAMES) {
        await scene.burst(sent + 1, sent + CHUNK_FRAMES);
        await scene.held(hold, sent + CHUNK_FRAMES);
      }
      assert.equal(await releaseAll(hold, 1), BURST_FRAMES);
      await scene.untilSeen(1, BURST_FRAMES);
      assert.deepEqual(told.troubles, []);
      assert.equal(hold.stats().writeErrors, 0);
    },
  },
];
