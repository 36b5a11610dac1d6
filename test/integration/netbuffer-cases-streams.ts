/** A guest that goes on talking: while its output begins and ends to be held, and in TCP, both directions. */
import assert from 'node:assert/strict';
import { committedEpoch, type OutputHold } from '../../src/netbuffer/output-hold.js';
import type { HoldCase } from './netbuffer-contract.js';
import { client, guest, type Host, until } from './netbuffer-net.js';
import { type Peer, startTcpEnd } from './netbuffer-peer.js';
import { numbers, type Scene } from './netbuffer-stage.js';

/** Some hundred large frames; emulated, each byte is a digest of many instructions. */
const STREAM_BYTES = 1024 * 1024;
/** A frame longer than this was not cut up on its way: Ethernet carries 1,500 bytes. */
const WIRE_FRAME_BYTES = 1_600;

interface TcpEnds {
  source: Peer;
  sink: Peer;
}

let port = 7000;

async function withTcp(from: Host, to: Host, use: (ends: TcpEnds) => Promise<void>): Promise<void> {
  port += 1;
  const sink = await startTcpEnd(to.space, 'sink', to.v4, port);
  try {
    const source = await startTcpEnd(from.space, 'source', to.v4, port);
    try {
      await use({ source, sink });
    } finally {
      source.kill();
    }
  } finally {
    sink.kill();
  }
}

const arrived = async (sink: Peer) => (await sink.ask<{ bytes: number }>('total')).bytes;

async function wholeStream(
  { source, sink }: TcpEnds,
  meanwhile: () => Promise<void>,
): Promise<void> {
  const sent = await source.ask<{ bytes: number; digest: string }>(`write ${STREAM_BYTES}`);
  await until('all has come', async () => {
    await meanwhile();
    return (await arrived(sink)) === sent.bytes;
  });
  assert.equal(await sink.ask('digest'), sent.digest);
}

/** Closes and releases one epoch after the other. */
function epochsOf(hold: OutputHold): () => Promise<void> {
  let epoch = 1;
  return async () => {
    hold.closeEpoch(epoch);
    await hold.release(committedEpoch(epoch));
    epoch += 1;
  };
}

/** The longest average frame that was ever held. */
function watchFrames(hold: OutputHold, next: () => Promise<void>) {
  const seen = { bytesPerFrame: 0 };
  const step = async () => {
    const { heldBytes, heldPackets } = hold.stats();
    if (heldPackets > 0) seen.bytesPerFrame = Math.max(seen.bytesPerFrame, heldBytes / heldPackets);
    await next();
  };
  return { seen, step };
}

async function ascending(scene: Scene): Promise<number[]> {
  const order = await scene.seen();
  assert.deepEqual(
    order,
    [...new Set(order)].sort((a, b) => a - b),
  );
  return order;
}

export const streamCases: readonly HoldCase[] = [
  {
    name: 'begins and ends while the guest talks: link up, no packet twice or out of order',
    run: async (scene) => {
      const { guest: port } = scene.network;
      const before = await port.carrierChanges();
      await scene.stream(1);
      for (let round = 0; round < 3; round++) {
        const last = (await scene.seen()).length;
        await until('packets come', async () => (await scene.seen()).length > last);
        const { hold } = await scene.begin();
        await until('packets are held', () => hold.stats().heldPackets > 0);
        const during = await scene.seen();
        assert.deepEqual(await scene.seen(), during);
        await epochsOf(hold)();
        await scene.end(hold, true);
        await ascending(scene);
      }
      const last = (await scene.seen()).length;
      await until('packets come', async () => (await scene.seen()).length > last);
      const sent = await scene.stage.guestWire.stop();
      const order = await ascending(scene);
      // The few milliseconds of each switch may cost packets, as a busy wire does.
      assert.ok(order.length > sent / 2, `${order.length} of ${sent} have come`);
      assert.equal(await port.carrierChanges(), before);
    },
  },
  {
    name: 'holds and releases large TCP frames whole, from the guest',
    run: (scene) =>
      withTcp(guest, client, async (ends) => {
        const { hold } = await scene.begin();
        const { seen, step } = watchFrames(hold, epochsOf(hold));
        await wholeStream(ends, step);
        assert.ok(seen.bytesPerFrame > WIRE_FRAME_BYTES, `${seen.bytesPerFrame} bytes per frame`);
      }),
  },
  {
    name: 'lets large TCP frames reach the guest whole, while what it answers is held',
    run: (scene) =>
      withTcp(client, guest, async (ends) => {
        const { hold } = await scene.begin();
        await wholeStream(ends, epochsOf(hold));
        assert.ok(hold.stats().releasedPackets > 0);
      }),
  },
  {
    name: 'keeps a TCP stream whole through beginning, releasing and ending',
    run: (scene) =>
      withTcp(guest, client, async (ends) => {
        for (let round = 1; round <= 3; round++) {
          const sent = await ends.source.ask<{ bytes: number; digest: string }>(
            `write ${STREAM_BYTES / 4}`,
          );
          const { hold } = await scene.begin();
          const next = epochsOf(hold);
          for (const _ of numbers(1, 20)) await next();
          await scene.end(hold, true);
          await until('the stream goes on', async () => (await arrived(ends.sink)) === sent.bytes);
          assert.equal(await ends.sink.ask('digest'), sent.digest);
        }
      }),
  },
];
