/** Kinds of frames: whatever a bridge would let pass is held, and leaves as it came. */
import assert from 'node:assert/strict';
import type { HoldCase } from './netbuffer-contract.js';
import { ethernet, framesOfEveryKind } from './netbuffer-frames.js';
import { client, guest, until } from './netbuffer-net.js';
import { releaseAll } from './netbuffer-stage.js';

export const kindCases: readonly HoldCase[] = [
  {
    name: 'holds every kind of frame until the release, and changes no byte of it',
    run: async (scene) => {
      const { hold } = await scene.begin();
      const kinds = framesOfEveryKind();
      for (const frame of Object.values(kinds)) await scene.stage.guestWire.send(frame);
      await scene.held(hold, Object.keys(kinds).length);
      assert.deepEqual((await scene.stage.seen()).frames, []);

      await releaseAll(hold, 1);
      const wanted = Object.entries(kinds).map(
        ([kind, frame]) => `${kind} ${frame.toString('hex')}`,
      );
      const nameOf = new Map(
        Object.entries(kinds).map(([kind, frame]) => [frame.toString('hex'), kind]),
      );
      await until('all have come', async () => {
        return (await scene.stage.seen()).frames.length >= wanted.length;
      });
      const { frames } = await scene.stage.seen();
      assert.deepEqual(
        frames.map((frame) => `${nameOf.get(frame) ?? 'changed:'} ${frame}`),
        wanted,
      );
    },
  },
  {
    name: 'holds the smallest frames there are',
    run: async (scene) => {
      const { hold } = await scene.begin();
      // What the kernel cannot read it does not match: a filter on the payload would let these out.
      const tiny = [0, 1, 2, 3].map((bytes) =>
        ethernet(client.mac, guest.mac, 0x88b6, Buffer.alloc(bytes, 0xaa)),
      );
      for (const frame of tiny) await scene.stage.guestWire.send(frame);
      await scene.held(hold, tiny.length);
      assert.deepEqual((await scene.stage.seen()).frames, []);
      await releaseAll(hold, 1);
      await until('all have come', async () => (await scene.stage.seen()).frames.length === 4);
      const { frames } = await scene.stage.seen();
      assert.deepEqual(
        frames,
        tiny.map((frame) => frame.toString('hex')),
      );
    },
  },
  {
    name: 'learns the addresses of the guest',
    run: async (scene) => {
      const { hold } = await scene.begin();
      const wanted = [guest.v4, guest.v6];
      let epoch = 1;
      // Now and again each kind comes first in an epoch: a backend may look at few frames of each.
      await until(`${wanted} are known`, async () => {
        for (const frame of Object.values(framesOfEveryKind())) {
          await scene.stage.guestWire.send(frame);
          await until('it is held', () => hold.stats().heldPackets > 0);
          await releaseAll(hold, epoch);
          epoch += 20;
        }
        const known = hold.addresses();
        return wanted.every((address) =>
          known.some((entry) => entry.address === address && entry.mac === guest.mac),
        );
      });
    },
  },
  {
    name: 'leaves what comes to the guest alone',
    run: async (scene) => {
      const { hold } = await scene.begin();
      await scene.burst(1, 1);
      await scene.held(hold, 1);
      await scene.stage.clientWire.burst({ from: 1, through: 50, to: guest.mac, mac: client.mac });
      await until('all have come to the guest', async () => {
        return (await scene.stage.guestWire.seen()).numbers.length === 50;
      });
      assert.deepEqual(await scene.seen(), []);
    },
  },
];
