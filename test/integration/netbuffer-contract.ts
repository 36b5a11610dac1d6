/** What every backend of the output hold must do, on a real network; run once per backend. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  committedEpoch,
  type HoldBackend,
  type HoldTrouble,
  type OutputHold,
} from '../../src/netbuffer/output-hold.js';
import {
  bridge,
  Capture,
  carrierChanges,
  client,
  clientSpace,
  GuestNetwork,
  guest,
  guestSpace,
  inSpace,
  type Peer,
  received,
  tap,
  until,
} from './netbuffer-net.js';

const numbers = (from: number, through: number): number[] =>
  Array.from({ length: through - from + 1 }, (_, index) => from + index);

/** Makes the guest send one of everything that a bridge would let pass. */
async function sendEveryKind(sender: Peer): Promise<void> {
  await sender.ask('burst', { to: client.v4, from: 1, through: 1 });
  await sender.ask('burst', { to: client.v6, from: 2, through: 2 });
  await sender.ask('burst', { to: '224.0.0.251', from: 3, through: 3 });
  // No fixed neighbour: the kernel asks, by ARP and by neighbour solicitation.
  await sender.ask('burst', { to: '10.77.0.9', from: 4, through: 4 });
  await sender.ask('burst', { to: 'fd77::9', from: 5, through: 5 });
  // RARP: nothing that a filter on IP, IPv6 or ARP would catch.
  const addon = new URL('../../native/build/Release/understudy.node', import.meta.url).pathname;
  await inSpace(
    guestSpace,
    `node -e "require(\\"${addon}\\").net.announce({ ifname: \\"eth0\\", mac: \\"${guest.mac}\\", addresses: [] })"`,
  );
}

const kinds = [
  /IPv4.* 10\.77\.0\.2\.\d+ > 10\.77\.0\.3\.7000/,
  /IPv6.* fd77::2\.\d+ > fd77::3\.7000/,
  /224\.0\.0\.251\.7000/,
  /ARP.* who-has 10\.77\.0\.9/,
  /neighbor solicitation/,
  /Reverse ARP/,
];

export function outputHoldContract(name: string, backend: HoldBackend): void {
  describe(`output hold: ${name}`, () => {
    let network: GuestNetwork;
    let sender: Peer;
    let receiver: Peer;
    let hold: OutputHold | undefined;
    let waiting: number;
    let troubles: HoldTrouble[];

    const begin = async (limits: { limitPackets?: number; limitBytes?: number } = {}) => {
      hold = await backend.holdOutput({
        tap,
        bridge,
        epoch: 1,
        ...limits,
        onWaiting: () => {
          waiting += 1;
        },
        onTrouble: (trouble) => troubles.push(trouble),
      });
      return hold;
    };
    const burst = async (from: number, through: number) => {
      await sender.ask('burst', { to: client.v4, from, through });
      await network.sent();
    };
    const seen = () => received(receiver);
    const held = (count: number) =>
      until(
        () => `${count} packets are held, not ${hold?.stats().heldPackets}`,
        () => hold?.stats().heldPackets === count,
      );

    beforeEach(async () => {
      network = await GuestNetwork.make();
      sender = await network.peer(guestSpace, 'sender');
      receiver = await network.peer(clientSpace, 'receiver');
      waiting = 0;
      troubles = [];
    });

    afterEach(async () => {
      await hold?.close({ release: false });
      hold = undefined;
      await network.close();
    });

    it('is available here, and the probe leaves nothing behind', async () => {
      expect(await backend.probe()).toEqual({ available: true, backend: backend.name });
    });

    it('holds every kind of packet until the release', async () => {
      const open = await begin();
      const capture = await Capture.start(`ether src ${guest.mac}`);
      await sendEveryKind(sender);
      await until('six kinds are held', () => open.stats().heldPackets >= kinds.length);
      expect(await seen()).toEqual([]);
      expect(capture.lines).toEqual([]);

      open.closeEpoch(1);
      await open.release(committedEpoch(1));
      for (const kind of kinds) {
        await until(String(kind), () => capture.lines.some((line) => kind.test(line)));
      }
      await capture.stop();
    });

    it('releases exactly the epochs up to the committed one, in order', async () => {
      const open = await begin();
      await burst(1, 50);
      await held(50);
      open.closeEpoch(1);
      await burst(51, 80);
      await held(80);
      open.closeEpoch(2);
      await burst(81, 100);
      await held(100);

      expect(await open.release(committedEpoch(1))).toBe(50);
      expect(await seen()).toEqual(numbers(1, 50));
      expect(await open.release(committedEpoch(2))).toBe(30);
      expect(await seen()).toEqual(numbers(1, 80));
      expect(open.stats()).toMatchObject({ openEpoch: 3, heldPackets: 20, releasedPackets: 80 });
    });

    it('refuses to release the open epoch, and nothing leaves', async () => {
      const open = await begin();
      await burst(1, 3);
      await held(3);
      await expect(open.release(committedEpoch(1))).rejects.toMatchObject({
        code: 'HOLD_EPOCH_OPEN',
      });
      expect(open.stats()).toMatchObject({ heldPackets: 3, releasedPackets: 0 });
      expect(await seen()).toEqual([]);
    });

    it('lets an epoch that is closed twice keep its later packets', async () => {
      const open = await begin();
      open.closeEpoch(1);
      await burst(1, 3);
      await held(3);
      open.closeEpoch(1);
      expect(await open.release(committedEpoch(1))).toBe(0);
      expect(await seen()).toEqual([]);
    });

    it('drops and counts what comes beyond the limit, and says so once until a release', async () => {
      const open = await begin({ limitPackets: 8 });
      await burst(1, 20);
      await until('the rest is counted', () => open.stats().overflowPackets === 12);
      await until('it is told', () => troubles.length > 0);
      expect(troubles.map(({ kind }) => kind)).toEqual(['overflow']);
      open.closeEpoch(1);
      expect(await open.release(committedEpoch(1))).toBe(8);
      expect(await seen()).toEqual(numbers(1, 8));
      await burst(21, 32);
      await until('the second overflow is told', () => troubles.length === 2);
    });

    it('says once per epoch that output waits', async () => {
      const open = await begin();
      await burst(1, 5);
      await until('output waits', () => waiting === 1);
      await held(5);
      open.closeEpoch(1);
      await burst(6, 9);
      await until('output waits again', () => waiting === 2);
      await held(9);
      expect(waiting).toBe(2);
    });

    it('throws held packets away when told to', async () => {
      const open = await begin();
      await burst(1, 5);
      await held(5);
      expect(open.dropAll()).toBe(5);
      open.closeEpoch(1);
      expect(await open.release(committedEpoch(1))).toBe(0);
      expect(await seen()).toEqual([]);
    });

    it('leaves what comes to the guest alone', async () => {
      await begin();
      const inside = await network.peer(guestSpace, 'receiver');
      await receiver.ask('send', { to: guest.v4, number: 7 });
      await receiver.ask('send', { to: guest.v6, number: 8 });
      await until('both arrive', async () => (await inside.ask<number[]>('seen')).length === 2);
    });

    it('learns the addresses of the guest', async () => {
      const open = await begin();
      await sendEveryKind(sender);
      await until('both are known', () => {
        const known = open.addresses();
        return [guest.v4, guest.v6].every((address) =>
          known.some((entry) => entry.address === address && entry.mac === guest.mac),
        );
      });
    });

    it('passes at once while told to, those held first', async () => {
      const open = await begin();
      await burst(1, 10);
      await held(10);
      open.setPassing(true);
      await burst(11, 20);
      await until('all have come', async () => (await seen()).length === 20);
      expect(await seen()).toEqual(numbers(1, 20));
      open.setPassing(false);
      await burst(21, 22);
      await held(2);
      expect(await seen()).toEqual(numbers(1, 20));
    });

    it('begins and ends while the guest talks: link up, no packet twice or out of order', async () => {
      const before = await carrierChanges();
      await sender.ask('stream', { to: client.v4 });
      for (let round = 0; round < 3; round++) {
        await until('packets come', async () => (await receiver.ask<number>('forget')) > 0);
        const open = await begin();
        await until('packets are held', () => open.stats().heldPackets > 0);
        open.closeEpoch(1);
        await open.release(committedEpoch(1));
        await open.close({ release: true });
        hold = undefined;
        const order = await seen();
        expect(order).toEqual([...new Set(order)].sort((a, b) => a - b));
      }
      await until('packets come', async () => (await receiver.ask<number>('forget')) > 0);
      await sender.ask('stop');
      expect(await carrierChanges()).toBe(before);
    });

    it('keeps a TCP stream whole through beginning, releasing and ending', async () => {
      const sink = await network.peer(clientSpace, 'sink', '::', '7001');
      const source = await network.peer(guestSpace, 'source', client.v4, '7001');
      const arrived = async () => (await sink.ask<{ bytes: number }>('total')).bytes;
      await source.ask('start');
      for (let round = 0; round < 3; round++) {
        const open = await begin();
        for (let epoch = 1; epoch <= 20; epoch++) {
          open.closeEpoch(epoch);
          await open.release(committedEpoch(epoch));
        }
        await open.close({ release: true });
        hold = undefined;
        const now = await arrived();
        await until('the stream goes on', async () => (await arrived()) > now);
      }
      const sent = await source.ask<{ bytes: number; digest: string }>('stop');
      await until('all has come', async () => (await arrived()) === sent.bytes);
      expect(await sink.ask('digest')).toBe(sent.digest);
    });
  });
}
