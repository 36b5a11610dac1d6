/** Where a backup session is reached: reads each connection's HELLO, bounded, and hands it over. */
import { createServer, type Server } from 'node:net';
import { messageOf, UnderstudyError } from '../errors.js';
import { FrameChannel } from '../wire/channel.js';
import { wireError } from '../wire/errors.js';
import type { Frame } from '../wire/frames.js';
import { HELLO_TIMEOUT_MS } from '../wire/limits.js';
import { LOG_EVENTS, type Log } from './log.js';
import { refuse } from './refusal.js';
import { reasonOf } from './status.js';
import { newerTermOf } from './superseded.js';

export interface HelloHandler {
  /** A typed error thrown here is sent to the peer as the refusal. */
  onHello(channel: FrameChannel, hello: Frame): Promise<void>;
  term(): number;
}

/** Connections that have not said HELLO yet; more are turned away. */
const GREETING_CONNECTIONS_MAX = 64;

export function listenForHello(
  address: { host: string; port: number },
  handler: HelloHandler,
  log: Log,
): Promise<{ server: Server; port: number }> {
  let greeting = 0;
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    if (greeting >= GREETING_CONNECTIONS_MAX) {
      socket.destroy();
      return;
    }
    greeting += 1;
    const channel = new FrameChannel(socket);
    greet(channel, handler, log)
      .catch((error: unknown) => {
        log.warn(LOG_EVENTS.connectionRefused, { peer: channel.peer, error: messageOf(error) });
        channel.destroy();
      })
      .finally(() => {
        greeting -= 1;
      });
  });
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      const where = `${address.host}:${address.port}`;
      reject(
        wireError('WIRE_UNREACHABLE', `cannot listen on ${where}: ${cause.message}`, { cause }),
      );
    });
    server.listen(address, () => {
      const bound = server.address();
      resolve({ server, port: typeof bound === 'object' && bound !== null ? bound.port : 0 });
    });
  });
}

async function greet(channel: FrameChannel, handler: HelloHandler, log: Log): Promise<void> {
  const hello = await channel.next(HELLO_TIMEOUT_MS);
  try {
    if (hello.type !== 'hello') throw wireError('WIRE_UNEXPECTED', `${hello.type} before HELLO`);
    await handler.onHello(channel, hello);
  } catch (error) {
    log.warn(LOG_EVENTS.peerRefused, { peer: channel.peer, error: messageOf(error) });
    if (error instanceof UnderstudyError && error.code === 'WIRE_STALE_TERM') {
      const term = Math.max(handler.term(), newerTermOf(error));
      await channel.send({ type: 'superseded', epoch: 0, term });
      channel.end();
    } else await refuse(channel, reasonOf(error), handler.term());
  }
}
