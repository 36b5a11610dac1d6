/** Passing: unheld for as long as it was said, and held again without anybody's help. */
import assert from 'node:assert/strict';
import type { HoldCase } from './netbuffer-contract.js';
import { until } from './netbuffer-net.js';
import { numbers, releaseAll } from './netbuffer-stage.js';

/** Longer than an emulated machine, and the one below it, stand still. */
const LEASE_MS = 1_000;
/** The last frame was let out before the deadline; it may be heard so much later. */
const HEARD_LATE_NS = 20_000_000n;
/** Process-wide monotonic time in ms, as `passUntil` takes it. */
const monotonicMs = () => Number(process.hrtime.bigint() / 1000n) / 1000;

export const passingCases: readonly HoldCase[] = [
  {
    name: 'passes at once while told to, those held first, and then holds again',
    run: async (scene) => {
      const { hold } = await scene.begin();
      await scene.burst(1, 10);
      await scene.held(hold, 10);
      hold.setPassing(true);
      await scene.burst(11, 20);
      await scene.untilSeen(1, 20);
      hold.setPassing(false);
      await scene.burst(21, 22);
      await scene.held(hold, 2);
      await scene.untilSeen(1, 20);
      await releaseAll(hold, 1);
      await scene.untilSeen(1, 22);
    },
  },
  {
    name: 'holds by itself when the deadline is over, and while this thread is blocked',
    only: ({ canLease }) => canLease,
    run: async (scene) => {
      const { hold } = await scene.begin();
      await scene.stream(1);
      await until('output is held', () => hold.stats().heldPackets > 0);
      const deadlineMs = monotonicMs() + LEASE_MS;
      hold.passUntil(deadlineMs);
      // Nothing of this process but the hold's own thread can act now.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2 * LEASE_MS);
      const { numbers: passed, lastNs } = await scene.stage.clientWire.seen();
      const sent = await scene.stage.guestWire.stop();
      await until('the rest is held', () => passed.length + hold.stats().heldPackets === sent);
      assert.ok(passed.length > 0, 'something has passed');
      assert.ok(hold.stats().heldPackets > 0, 'something is held');
      assert.ok(
        lastNs < BigInt(Math.ceil(deadlineMs * 1e6)) + HEARD_LATE_NS,
        'nothing has passed late',
      );
      await scene.untilSeen(1, passed.length);
      await releaseAll(hold, 1);
      await scene.untilSeen(1, sent);
    },
  },
  {
    name: 'moves the deadline with each call, and ends it when told to hold',
    only: ({ canLease }) => canLease,
    run: async (scene) => {
      const { hold } = await scene.begin();
      const sendOne = async (number: number) => {
        await scene.burst(number, number);
        await until(`${number} has come somewhere`, async () => {
          return hold.stats().heldPackets > 0 || (await scene.seen()).includes(number);
        });
      };
      hold.passUntil(monotonicMs() + 60_000);
      await sendOne(1);
      assert.deepEqual(await scene.seen(), [1]);
      hold.passUntil(monotonicMs());
      await sendOne(2);
      assert.equal(hold.stats().heldPackets, 1);
      hold.passUntil(monotonicMs() + 60_000);
      await scene.untilSeen(1, 2);
      hold.setPassing(false);
      await sendOne(3);
      assert.deepEqual(await scene.seen(), numbers(1, 2));
      assert.equal(hold.stats().heldPackets, 1);
    },
  },
  {
    name: 'refuses a deadline that it could not keep',
    only: ({ canLease }) => !canLease,
    run: async (scene) => {
      const { hold } = await scene.begin();
      assert.throws(() => hold.passUntil(monotonicMs() + 60_000), { code: 'HOLD_NO_LEASE' });
      await scene.burst(1, 1);
      await scene.held(hold, 1);
      assert.deepEqual(await scene.seen(), []);
    },
  },
];
