/**
 * Where the kernel passes frames by itself while output passes (`holder`, native/net/kernel_pass.h): it does,
 * nothing is overtaken when it begins and ends, and all that a hold must know it still knows.
 */
import assert from 'node:assert/strict';
import { native } from '../../src/native.js';
import { bridgeTapOf, readTapOf } from '../../src/netbuffer/interface-names.js';
import { committedEpoch, type OutputHold } from '../../src/netbuffer/output-hold.js';
import { enterHeldLayout } from '../../src/netbuffer/tap-layout.js';
import type { HoldCase } from './netbuffer-contract.js';
import { addressed, asking, framesOfEveryKind } from './netbuffer-frames.js';
import { bridge, client, guest, sh, until } from './netbuffer-net.js';
import { startTcpEnd } from './netbuffer-peer.js';
import { numbers, type Scene } from './netbuffer-stage.js';

const { tap } = guest;
const monotonicMs = () => Number(process.hrtime.bigint()) / 1e6;
const LONG_MS = 60_000;
const STREAM_BYTES = 16 * 1024 * 1024;
const BURSTS = 40;
const BURST_FRAMES = 1_000;
/** A frame longer than this was not cut up on its way. */
const WIRE_FRAME_BYTES = 1_600;

/** Begins a hold whose output passes; the first frame (number 1) always goes through user space. */
async function passing(scene: Scene): Promise<OutputHold> {
  const { hold } = await scene.begin();
  hold.passUntil(monotonicMs() + LONG_MS);
  await scene.burst(1, 1);
  await scene.untilSeen(1, 1);
  await until('nothing is kept here', () => hold.stats().heldPackets === 0);
  return hold;
}

/** Frames from number 2 on, as fast as the test's own network carries them without a loss. */
async function sendBursts(scene: Scene, hold: OutputHold): Promise<void> {
  let next = 2;
  for (let burst = 0; burst < BURSTS; burst += 1) {
    await scene.burst(next, next + BURST_FRAMES - 1);
    next += BURST_FRAMES;
    await until('the hold has them', () => {
      const { heldPackets, releasedPackets } = hold.stats();
      return heldPackets + releasedPackets >= next - 1 - BURST_FRAMES;
    });
  }
}

/** Sends more and more until the kernel has passed something; the next number. */
async function untilKernelPasses(scene: Scene, hold: OutputHold, from: number): Promise<number> {
  const before = hold.stats().kernelPackets;
  let next = from;
  await until('the kernel passes', async () => {
    await scene.burst(next, next);
    next += 1;
    return hold.stats().kernelPackets > before;
  });
  return next;
}

export const kernelCases: readonly HoldCase[] = [
  {
    name: 'passes frames in the kernel, counts them, and holds again when told to',
    run: async (scene) => {
      const hold = await passing(scene);
      const next = await untilKernelPasses(scene, hold, 2);
      const before = hold.stats();
      await scene.burst(next, next + 99, 200);
      await scene.untilSeen(1, next + 99);
      const after = hold.stats();
      assert.equal(after.kernelPackets - before.kernelPackets, 100);
      assert.equal(after.releasedPackets - before.releasedPackets, 100);
      assert.equal(after.releasedBytes - before.releasedBytes, 100 * 200);
      assert.equal(after.kernelRefusal, '');

      hold.passUntil(0);
      await scene.burst(next + 100, next + 109);
      await scene.held(hold, 10);
      assert.deepEqual(await scene.seen(), numbers(1, next + 99));
      assert.equal(hold.stats().kernelPackets, after.kernelPackets);

      hold.setPassing(true);
      await scene.untilSeen(1, next + 109);
      await untilKernelPasses(scene, hold, next + 110);
    },
  },
  {
    name: 'keeps the order of a busy guest, however often passing begins and ends',
    run: async (scene) => {
      const hold = await passing(scene);
      const last = 1 + BURSTS * BURST_FRAMES;
      let sending = true;
      const sent = sendBursts(scene, hold).finally(() => {
        sending = false;
      });
      let held = 0;
      for (let epoch = 1; sending; epoch += 1) {
        // By turns: a deadline that ends by itself, one that is ended, epochs that are released.
        hold.passUntil(monotonicMs() + 4 * (epoch % 3));
        await new Promise((done) => setTimeout(done, 3 * (epoch % 5)));
        if (epoch % 2 === 0) hold.passUntil(0);
        held = Math.max(held, hold.stats().heldPackets);
        hold.closeEpoch(epoch);
        if (epoch % 3 === 0) await hold.release(committedEpoch(epoch));
      }
      await sent;
      hold.setPassing(true);
      await scene.untilSeen(1, last);
      const { kernelPackets, releasedPackets } = hold.stats();
      assert.equal(releasedPackets, last);
      assert.ok(kernelPackets > 0, `${kernelPackets} of ${last} were passed by the kernel`);
      assert.ok(held > 0, 'some were held');
      assert.ok(releasedPackets - kernelPackets > 0, 'and some came through user space');
    },
  },
  {
    name: 'changes no byte of any kind of frame that the kernel passes, and keeps their order',
    run: async (scene) => {
      const hold = await passing(scene);
      const kinds = Object.values(framesOfEveryKind());
      for (const frame of kinds) await scene.stage.guestWire.send(frame);
      // The second time their addresses are known, and none comes while another is on its way through here.
      for (const [at, frame] of kinds.entries()) {
        await until('all before it have left', () => {
          return hold.stats().releasedPackets === 1 + kinds.length + at;
        });
        await scene.stage.guestWire.send(frame);
      }
      const wanted = [...kinds, ...kinds].map((frame) => frame.toString('hex'));
      await until('all have come', async () => {
        return (await scene.stage.seen()).frames.length >= wanted.length;
      });
      assert.deepEqual((await scene.stage.seen()).frames, wanted);
      assert.ok(hold.stats().kernelPackets > 0);
    },
  },
  {
    name: 'learns every address that the guest uses while the kernel passes',
    run: async (scene) => {
      const hold = await passing(scene);
      await scene.stage.guestWire.send(asking('10.77.1.100'));
      await until('it is known', () =>
        hold.addresses().some(({ address }) => address === '10.77.1.100'),
      );
      await scene.stage.clientWire.forget();
      // More than are remembered: the last ones are, whatever the kernel has passed.
      const sources = numbers(1, 40).map((last) => `10.77.1.${last}`);
      for (const source of [...sources, ...sources]) {
        const frame = addressed(source);
        await scene.stage.guestWire.send(frame);
      }
      await until('all have come', async () => (await scene.stage.seen()).frames.length === 80);
      assert.deepEqual(
        hold
          .addresses()
          .map(({ address }) => address)
          .sort(),
        sources.slice(-32).sort(),
      );
      assert.ok(hold.addresses().every(({ mac }) => mac === guest.mac));

      const known = addressed('10.77.1.40');
      const before = hold.stats().kernelPackets;
      await until('a known one is passed by the kernel', async () => {
        await scene.stage.guestWire.send(known);
        return hold.stats().kernelPackets > before;
      });
    },
  },
  {
    name: 'passes large TCP frames whole',
    run: async (scene) => {
      const hold = await passing(scene);
      const sink = await startTcpEnd(client.space, 'sink', client.v4, 7901);
      const source = await startTcpEnd(guest.space, 'source', client.v4, 7901);
      try {
        const sent = await source.ask<{ bytes: number; digest: string }>(`write ${STREAM_BYTES}`);
        await until('all has come', async () => {
          return (await sink.ask<{ bytes: number }>('total')).bytes === sent.bytes;
        });
        assert.equal(await sink.ask('digest'), sent.digest);
      } finally {
        source.kill();
        sink.kill();
      }
      const { kernelPackets, releasedPackets, releasedBytes } = hold.stats();
      assert.ok(
        kernelPackets > releasedPackets / 2,
        `${kernelPackets} of ${releasedPackets} were passed by the kernel`,
      );
      assert.ok(releasedBytes / releasedPackets > WIRE_FRAME_BYTES, 'they were not cut up');
    },
  },
  {
    name: 'passes nothing in the kernel while a part of the hold is missing',
    run: closedWhileUnheld,
  },
];

/** Native only: nobody puts the part back before we have looked. */
async function closedWhileUnheld(scene: Scene): Promise<void> {
  const port = { tap, bridge, readTap: readTapOf(tap), bridgeTap: bridgeTapOf(tap) };
  const toGuest = `dev ${port.bridgeTap} egress protocol all pref 1`;
  let troubles = 0;
  const taps = native.net.openTapHolder({
    ...port,
    epoch: 1,
    limitPackets: 1000,
    limitBytes: 1_000_000,
    onWaiting: () => undefined,
    onFilling: () => undefined,
    onTrouble: () => {
      troubles += 1;
    },
  });
  try {
    await enterHeldLayout(port, { bridge, ownsQdisc: false, settings: {}, vlans: [], alias: '' });
    taps.watchTap(true);
    taps.setPassing(true);
    await scene.burst(1, 1);
    await scene.untilSeen(1, 1);
    await scene.burst(2, 2);
    await scene.untilSeen(1, 2);
    const { kernelPackets } = taps.stats();
    // Nothing that the guest sends goes through this: only our own word stops the kernel.
    await sh(`tc filter del ${toGuest}`);
    await until('it is found', () => troubles === 1);
    taps.passUntil(2n ** 63n);
    await scene.burst(3, 12);
    await until('it is held', () => taps.stats().heldPackets === 10);
    assert.deepEqual(await scene.seen(), [1, 2]);
    assert.equal(taps.stats().kernelPackets, kernelPackets);
    await sh(
      `tc filter add ${toGuest} u32 match u32 0 0 at -12 action mirred egress redirect dev ${tap}`,
    );
    taps.watchTap(true);
    await scene.untilSeen(1, 12);
    taps.watchTap(false);
  } finally {
    await taps.close();
    await scene.backend.restoreTap({ tap, bridge });
  }
}
