import { createServer, type Server } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { deferred } from '../../../src/deferred.js';
import { connectChannel, FrameChannel } from '../../../src/wire/channel.js';
import type { Frame } from '../../../src/wire/frames.js';

const servers: Server[] = [];

/** An accepted channel that reads straight into buffers of the test, and the client's end. */
async function pair(): Promise<{ client: FrameChannel; server: FrameChannel; made: Buffer[] }> {
  const accepted = deferred<FrameChannel>();
  const listener = createServer({ pauseOnConnect: true }, (socket) =>
    accepted.resolve(new FrameChannel(socket)),
  );
  servers.push(listener);
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const address = listener.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const client = await connectChannel({ host: '127.0.0.1', port: address.port });
  const server = await accepted.promise;
  const made: Buffer[] = [];
  server.allocateWith((bytes) => {
    const buffer = Buffer.alloc(bytes);
    made.push(buffer);
    return buffer;
  });
  return { client, server, made };
}

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

describe('a channel that reads straight into its receiver’s buffers', () => {
  it('delivers every byte, in order, in those buffers, while the receiver takes its time', async () => {
    const { client, server, made } = await pair();
    const frames: Frame[] = [];
    const done = deferred();
    server.receive({
      onFrame: async (frame) => {
        await new Promise((next) => setImmediate(next));
        frames.push(frame);
        if (frames.length === 20) done.resolve();
      },
      onClosed: () => undefined,
    });
    for (let epoch = 1; epoch <= 20; epoch += 1) {
      const payload = Buffer.alloc(epoch % 3 === 0 ? 0 : epoch * 50_000, epoch);
      await client.send({ type: 'chunk', epoch, term: 1 }, payload);
    }
    await done.promise;
    expect(frames.map(({ epoch }) => epoch)).toEqual(Array.from({ length: 20 }, (_, at) => at + 1));
    expect(frames.every(({ payload, epoch }) => payload.every((byte) => byte === epoch))).toBe(
      true,
    );
    expect(frames.every(({ payload }) => made.includes(payload))).toBe(true);
    client.destroy();
  });

  it('still sends, and says when the other end hangs up', async () => {
    const { client, server } = await pair();
    const closed = deferred<Error | undefined>();
    server.receive({ onFrame: () => undefined, onClosed: (error) => closed.resolve(error) });
    await server.send({ type: 'committed', epoch: 3, term: 1 });
    expect((await client.next(1_000)).epoch).toBe(3);
    client.end();
    expect(await closed.promise).toBeUndefined();
    expect(server.isClosed).toBe(true);
  });

  it('says why when the other end is gone at once', async () => {
    const { client, server } = await pair();
    const closed = deferred<Error | undefined>();
    server.receive({ onFrame: () => undefined, onClosed: (error) => closed.resolve(error) });
    server.destroy(new Error('no more'));
    expect(await closed.promise).toMatchObject({ message: 'no more' });
    client.destroy();
  });
});
