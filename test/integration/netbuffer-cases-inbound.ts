/** Questions to a guest whose output is held: they begin what is prepared. */
import assert from 'node:assert/strict';
import { monotonicMs, notBeforeNs } from '../../src/clock.js';
import { native } from '../../src/native.js';
import type { HoldCase } from './netbuffer-contract.js';
import { client, guest, until } from './netbuffer-net.js';

const EVERYBODY = 'ff:ff:ff:ff:ff:ff';

export const inboundCases: readonly HoldCase[] = [
  {
    name: 'begins what is prepared at a question to the guest, once, not before its time, not at anything else',
    run: async (scene) => {
      const { clientWire, guestWire } = scene.stage;
      const { hold } = await scene.begin();
      const fired: string[] = [];
      let begun = 0;
      // Here a filter takes what goes to the guest from its tap; a real one is where it goes out.
      const trigger = (name: string) => native.triggerSignal(() => void fired.push(name));
      const nowNs = (): bigint => notBeforeNs(monotonicMs());
      const onBegun = (): void => {
        begun += 1;
      };
      const watch = native.net.watchInbound({ tap: guest.cable, onBegun });
      let sent = 0;
      const send = async (to: string): Promise<void> => {
        sent += 1;
        await clientWire.burst({ from: sent, through: sent, to, mac: client.mac });
        await until(
          'the guest has it',
          async () => (await guestWire.seen()).numbers.length === sent,
        );
      };
      try {
        watch.fireAtInbound(trigger('a question'), nowNs());
        await scene.burst(1, 5);
        await scene.held(hold, 5);
        await send(EVERYBODY);
        assert.deepEqual(fired, []);
        await send(guest.mac);
        await until('it has begun', () => begun === 1);
        assert.deepEqual(fired, ['a question']);

        // Its answer may still come.
        watch.fireAtInbound(trigger('the same question'), nowNs());
        await until('that counts', () => begun === 2);

        watch.closeEpoch(1);
        watch.fireAtInbound(trigger('another question'), nowNs());
        await send(EVERYBODY);
        assert.equal(begun, 2);
        await send(guest.mac);
        await until('it has begun', () => begun === 3);
        assert.deepEqual(fired, ['a question', 'the same question', 'another question']);

        watch.closeEpoch(2);
        const soonMs = monotonicMs() + 50;
        watch.fireAtInbound(trigger('early'), notBeforeNs(soonMs));
        await send(guest.mac);
        await until('it has begun', () => begun === 4);
        assert.ok(monotonicMs() >= soonMs);

        watch.fireAtInbound(trigger('never'), nowNs() + 60_000_000_000n);
        await send(guest.mac);
      } finally {
        watch.close();
      }
      assert.equal(fired.length, 4);
      assert.throws(
        () => native.net.watchInbound({ tap: 'no-such-tap', onBegun: () => undefined }),
        {
          code: 'ENODEV',
        },
      );
    },
  },
];
