/** Epochs: what leaves, when, and in which order. */
import assert from 'node:assert/strict';
import { monotonicMs } from '../../src/clock.js';
import { native } from '../../src/native.js';
import { committedEpoch } from '../../src/netbuffer/output-hold.js';
import type { HoldCase } from './netbuffer-contract.js';
import { until } from './netbuffer-net.js';
import { numbers, releaseAll } from './netbuffer-stage.js';

export const epochCases: readonly HoldCase[] = [
  {
    name: 'releases at most the epochs up to the committed one, in order, and all in the end',
    run: async (scene) => {
      const { hold } = await scene.begin();
      await scene.burst(1, 50);
      await scene.held(hold, 50);
      hold.closeEpoch(1);
      await scene.burst(51, 80);
      await scene.held(hold, 80);
      hold.closeEpoch(2);
      await scene.burst(81, 100);
      await scene.held(hold, 100);

      let left = await hold.release(committedEpoch(1));
      assert.equal(left, 50);
      await scene.untilSeen(1, 50);
      left += await hold.release(committedEpoch(2));
      assert.ok(left >= 50 && left <= 80, `${left} packets have left`);
      await scene.untilSeen(1, left);
      // A backend that knows one closed epoch at a time had merged the second boundary.
      if (scene.backend.name === 'holder') assert.equal(left, 80);
      left += await releaseAll(hold, 3);
      assert.equal(left, 100);
      await scene.untilSeen(1, 100);
      const { heldPackets, releasedPackets } = hold.stats();
      assert.deepEqual({ heldPackets, releasedPackets }, { heldPackets: 0, releasedPackets: 100 });
    },
  },
  {
    name: 'lets nothing of a later epoch leave, however many boundaries were merged',
    run: async (scene) => {
      const { hold } = await scene.begin();
      for (let epoch = 1; epoch <= 6; epoch++) {
        await scene.burst(epoch * 10 - 9, epoch * 10);
        await scene.held(hold, epoch * 10);
        hold.closeEpoch(epoch);
      }
      let left = 0;
      for (let epoch = 1; epoch <= 6; epoch++) {
        left += await hold.release(committedEpoch(epoch));
        assert.ok(left <= epoch * 10, `epoch ${epoch} is committed and ${left} packets have left`);
        assert.deepEqual(await scene.seen(), numbers(1, left));
      }
      left += await releaseAll(hold, 7);
      assert.equal(left, 60);
      await scene.untilSeen(1, 60);
    },
  },
  {
    name: 'refuses to release the open epoch, and nothing leaves',
    run: async (scene) => {
      const { hold } = await scene.begin();
      await scene.burst(1, 3);
      await scene.held(hold, 3);
      await assert.rejects(hold.release(committedEpoch(1)), { code: 'HOLD_EPOCH_OPEN' });
      const { heldPackets, releasedPackets } = hold.stats();
      assert.deepEqual({ heldPackets, releasedPackets }, { heldPackets: 3, releasedPackets: 0 });
      assert.deepEqual(await scene.seen(), []);
    },
  },
  {
    name: 'fires what is prepared at the first packet that waits, once, and not before its time',
    run: async (scene) => {
      const { hold, told } = await scene.begin();
      const fired: string[] = [];
      const trigger = (name: string) => native.triggerSignal(() => void fired.push(name));
      hold.fireAtWaiting(trigger('first'), monotonicMs());
      await scene.burst(1, 5);
      await scene.held(hold, 5);
      await until('it is told', () => told.waiting === 1);
      assert.deepEqual(fired, ['first']);
      hold.closeEpoch(1);
      await scene.burst(6, 7);
      await until('the next epoch waits', () => told.waiting === 2);
      hold.closeEpoch(2);
      hold.fireAtWaiting(trigger('too early'), monotonicMs() + 60_000);
      await scene.burst(8, 9);
      await until('it waits, and nothing more', () => told.waiting === 3);
      assert.deepEqual(fired, ['first']);
      assert.equal(await releaseAll(hold, 3), 9);
      await scene.untilSeen(1, 9);
    },
  },
  {
    name: 'lets an epoch that is closed twice keep its later packets',
    run: async (scene) => {
      const { hold } = await scene.begin();
      hold.closeEpoch(1);
      await scene.burst(1, 3);
      await scene.held(hold, 3);
      hold.closeEpoch(1);
      assert.equal(await hold.release(committedEpoch(1)), 0);
      assert.deepEqual(await scene.seen(), []);
    },
  },
  {
    name: 'says once per epoch that output waits, and again after a drop',
    run: async (scene) => {
      const { hold, told } = await scene.begin();
      await scene.burst(1, 5);
      await scene.held(hold, 5);
      await until('output waits', () => told.waiting > 0);
      hold.closeEpoch(1);
      await scene.burst(6, 9);
      await scene.held(hold, 9);
      await until('output waits again', () => told.waiting > 1);
      assert.equal(hold.dropAll(), 9);
      await scene.burst(10, 10);
      await scene.held(hold, 1);
      await until('output waits after the drop', () => told.waiting > 2);
      assert.equal(told.waiting, 3);
    },
  },
  {
    name: 'throws held packets away when told to',
    run: async (scene) => {
      const { hold } = await scene.begin();
      await scene.burst(1, 5);
      await scene.held(hold, 5);
      assert.equal(hold.dropAll(), 5);
      assert.equal(await releaseAll(hold, 1), 0);
      await scene.burst(6, 8);
      await scene.held(hold, 3);
      assert.deepEqual(await scene.seen(), []);
      await releaseAll(hold, 10);
      await scene.untilSeen(6, 8);
      assert.equal(hold.stats().droppedPackets, 5);
    },
  },
  {
    name: 'ends with what is held released, or dropped, as told',
    run: async (scene) => {
      const first = await scene.begin();
      await scene.burst(1, 20);
      await scene.held(first.hold, 20);
      await scene.end(first.hold, true);
      await scene.burst(21, 25);
      await scene.untilSeen(1, 25);
      await scene.stage.clientWire.forget();

      const second = await scene.begin();
      await scene.burst(26, 30);
      await scene.held(second.hold, 5);
      await scene.end(second.hold, false);
      await scene.burst(31, 35);
      await scene.untilSeen(31, 35);
    },
  },
];
