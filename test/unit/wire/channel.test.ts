import { afterEach, describe, expect, it } from 'vitest';
import { connectChannel } from '../../../src/wire/channel.js';
import type { Frame } from '../../../src/wire/frames.js';
import { FRAME_HEADER_BYTES } from '../../../src/wire/limits.js';
import { closePairs, connectedPair } from './loopback.js';

afterEach(closePairs);

describe('a channel', () => {
  it('delivers in order, one at a time, while the receiver works', async () => {
    const [client, server] = await connectedPair();
    const seen: number[] = [];
    let working = 0;
    let overlap = false;
    const done = new Promise<void>((resolve) => {
      server.receive({
        onFrame: async (frame) => {
          overlap ||= working > 0;
          working += 1;
          await new Promise((next) => setImmediate(next));
          working -= 1;
          seen.push(frame.epoch);
          if (seen.length === 50) resolve();
        },
        onClosed: () => undefined,
      });
    });
    for (let epoch = 1; epoch <= 50; epoch += 1) {
      await client.send({ type: 'chunk', epoch, term: 1 }, Buffer.alloc(1_000));
    }
    await done;
    expect(seen).toEqual(Array.from({ length: 50 }, (_, index) => index + 1));
    expect(overlap).toBe(false);
  });

  it('delivers what arrived whole before the end, then says why it closed', async () => {
    const [client, server, socket] = await connectedPair();
    await client.send({ type: 'committed', epoch: 9, term: 1 });
    client.end();
    await new Promise((resolve) => socket.once('end', resolve).resume());
    const frames: Frame[] = [];
    const reason = await new Promise<Error | undefined>((resolve) =>
      server.receive({ onFrame: (frame) => void frames.push(frame), onClosed: resolve }),
    );
    expect(frames.map(({ epoch }) => epoch)).toEqual([9]);
    expect(reason).toBeUndefined();
  });

  it('closes with a typed error on a malformed frame', async () => {
    const [client, , socket] = await connectedPair();
    const reason = new Promise<Error | undefined>((resolve) =>
      client.receive({ onFrame: () => undefined, onClosed: resolve }),
    );
    socket.write(Buffer.alloc(FRAME_HEADER_BYTES, 0xee));
    expect(await reason).toMatchObject({ code: 'WIRE_BAD_MAGIC' });
  });

  it('gives up waiting for an answer after the bound', async () => {
    const [client] = await connectedPair();
    await expect(client.next(20)).rejects.toMatchObject({ code: 'WIRE_TIMED_OUT' });
  });

  it('says that nobody listens', async () => {
    await expect(connectChannel({ host: '127.0.0.1', port: 1 })).rejects.toMatchObject({
      code: 'WIRE_UNREACHABLE',
    });
  });
});
