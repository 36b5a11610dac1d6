/** More than one interface, and interfaces that go away. */
import assert from 'node:assert/strict';
import { committedEpoch } from '../../src/netbuffer/output-hold.js';
import type { HoldCase } from './netbuffer-contract.js';
import { bridge, client, guest, secondGuest, sh, until } from './netbuffer-net.js';
import { numbers, releaseAll, type Scene } from './netbuffer-stage.js';

/** Takes the tap away while frames are held, and plugs it again under the same name. */
async function goneAndBack(scene: Scene, takeAway: () => Promise<void>): Promise<void> {
  const { guest: port } = scene.network;
  const { hold, told } = await scene.begin();
  await scene.burst(1, 5);
  await scene.held(hold, 5);
  await takeAway();
  await until('it is told', () => told.troubles.length > 0);
  await scene.end(hold);
  assert.deepEqual(
    told.troubles.map(({ kind }) => kind),
    ['tap-failed'],
  );
  assert.deepEqual(await scene.seen(), []);

  await port.unplug();
  await port.plug();
  const again = await scene.begin();
  await scene.burst(6, 9);
  await scene.held(again.hold, 4);
  assert.deepEqual(await scene.seen(), []);
  await releaseAll(again.hold, 1);
  await scene.untilSeen(6, 9);
}

export const guestCases: readonly HoldCase[] = [
  {
    name: 'holds two interfaces of one guest, each released by itself',
    run: async (scene) => {
      const other = await scene.stage.secondWire();
      const one = await scene.begin();
      const two = await scene.begin({}, secondGuest);
      await scene.burst(1, 5);
      await other.burst({ from: 101, through: 105, to: client.mac, mac: secondGuest.mac });
      await scene.held(one.hold, 5);
      await scene.held(two.hold, 5);
      // One boundary in one pause, for both.
      for (const { hold } of [one, two]) hold.closeEpoch(1);
      assert.equal(await one.hold.release(committedEpoch(1)), 5);
      await scene.untilSeen(1, 5);
      assert.equal(await two.hold.release(committedEpoch(1)), 5);
      await until('both are seen', async () => (await scene.seen()).length === 10);
      assert.deepEqual(await scene.seen(), [...numbers(1, 5), ...numbers(101, 105)]);
    },
  },
  {
    name: 'holds what two guests on one bridge say to each other by the hold of the sender alone',
    run: async (scene) => {
      const other = await scene.stage.secondWire();
      const here = scene.stage.guestWire;
      // What a case before was flooded here is not of this one.
      for (const wire of [here, other]) await wire.forget();
      const one = await scene.begin();
      const two = await scene.begin({}, secondGuest);
      await here.burst({ from: 1, through: 5, to: secondGuest.mac, mac: guest.mac });
      await other.burst({ from: 11, through: 17, to: guest.mac, mac: secondGuest.mac });
      await scene.held(one.hold, 5);
      await scene.held(two.hold, 7);
      const heard = async () => [(await here.seen()).numbers, (await other.seen()).numbers];
      assert.deepEqual(await heard(), [[], []]);

      assert.equal(await releaseAll(one.hold, 1), 5);
      await until('the second hears the first', async () => (await heard())[1]?.length === 5);
      assert.deepEqual(await heard(), [[], numbers(1, 5)]);
      assert.equal(two.hold.stats().heldPackets, 7);
      assert.equal(await releaseAll(two.hold, 1), 7);
      await until('the first hears the second', async () => (await heard())[0]?.length === 7);
      assert.deepEqual(await heard(), [numbers(11, 17), numbers(1, 5)]);
      await other.forget();
    },
  },
  {
    name: 'says that its tap is gone when the NIC is unplugged, and holds one that is plugged again',
    run: (scene) => goneAndBack(scene, () => scene.network.guest.unplug()),
  },
  {
    name: 'says that its tap is gone when somebody deletes it',
    run: (scene) =>
      goneAndBack(scene, async () => {
        await sh(`ip link del ${guest.tap}`);
      }),
  },
  {
    name: 'refuses a tap that it cannot hold',
    run: async (scene) => {
      const { hold } = await scene.begin();
      await assert.rejects(scene.begin(), { code: 'HOLD_STILL_HELD' });
      await scene.end(hold);
      await sh(`ip link set ${guest.tap} nomaster`);
      await assert.rejects(scene.begin(), { code: 'HOLD_NOT_ON_BRIDGE' });
      await sh(`ip link set ${guest.tap} down master ${bridge}`);
      await assert.rejects(scene.begin(), { code: 'HOLD_TAP_DOWN' });
      await sh(`ip link set ${guest.tap} up`);
      await assert.rejects(scene.begin({}, { ...guest, tap: 'us3none' }), {
        code: 'HOLD_NO_INTERFACE',
      });
      const filter = `dev ${guest.tap} ingress protocol ip pref 1 u32 match u32 0 0 action mirred egress redirect dev us3null`;
      await sh(`tc filter add ${filter}`);
      await assert.rejects(scene.begin(), { code: 'HOLD_TAP_BUSY' });
      await sh(`tc filter del dev ${guest.tap} ingress pref 1`);
    },
  },
];
