/** Where a backup session is reached: reads each connection's HELLO, bounded, and hands it over. */
import { createServer, type Server, type Socket } from 'node:net';
import { messageOf, UnderstudyError } from '../../errors.js';
import { FrameChannel } from '../../wire/channel.js';
import { wireError } from '../../wire/errors.js';
import type { Frame } from '../../wire/frames.js';
import { HELLO_TIMEOUT_MS } from '../../wire/limits.js';
import { acceptSecure } from '../../wire/secure-listener.js';
import type { PeerTrust } from '../../wire/trust.js';
import { LOG_EVENTS, type Log } from '../log.js';
import { reasonOf } from '../status.js';
import { refuse } from './refusal.js';
import { newerTermOf } from './superseded.js';

export interface HelloHandler {
  /** A typed error thrown here is sent to the peer as the refusal. */
  onHello(channel: FrameChannel, hello: Frame): Promise<void>;
  term(): number;
}

export interface ListenerDependencies {
  /** Who may connect; `plain` is for connections that a token protects. */
  security: PeerTrust | 'plain';
  log: Log;
}

/** Connections that shake hands or have not said HELLO yet; more are turned away. */
const GREETING_CONNECTIONS_MAX = 64;

export function listenForHello(
  address: { host: string; port: number },
  handler: HelloHandler,
  { security, log }: ListenerDependencies,
): Promise<{ server: Server; port: number }> {
  let greeting = 0;
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    if (greeting >= GREETING_CONNECTIONS_MAX) {
      socket.destroy();
      return;
    }
    greeting += 1;
    // Of no use any more when the connection is gone.
    const peer = `${socket.remoteAddress}:${socket.remotePort}`;
    letIn(socket, handler, { security, log })
      .catch((error: unknown) => {
        const code = error instanceof UnderstudyError ? { code: error.code } : {};
        log.warn(LOG_EVENTS.connectionRefused, { peer, ...code, error: messageOf(error) });
        socket.destroy();
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

async function letIn(
  accepted: Socket,
  handler: HelloHandler,
  { security, log }: ListenerDependencies,
): Promise<void> {
  if (security === 'plain') return greet(new FrameChannel(accepted), handler, log);
  const { channel, refusal } = await acceptSecure(accepted, security);
  try {
    if (refusal === undefined) return await greet(channel, handler, log);
  } catch (error) {
    channel.destroy();
    throw error;
  }
  log.warn(LOG_EVENTS.peerRefused, {
    peer: channel.peer,
    code: refusal.code,
    error: refusal.message,
  });
  // Of a stranger not even the HELLO is read.
  await channel.sendMessage('refuse', 'refuse', reasonOf(refusal), { term: 0 });
  await channel.untilPeerHangsUp(HELLO_TIMEOUT_MS);
}

async function greet(channel: FrameChannel, handler: HelloHandler, log: Log): Promise<void> {
  const hello = await channel.next(HELLO_TIMEOUT_MS);
  try {
    if (hello.type !== 'hello') throw wireError('WIRE_UNEXPECTED', `${hello.type} before HELLO`);
    await handler.onHello(channel, hello);
  } catch (error) {
    const { code, message } = reasonOf(error);
    log.warn(LOG_EVENTS.peerRefused, { peer: channel.peer, code, error: message });
    if (error instanceof UnderstudyError && error.code === 'WIRE_STALE_TERM') {
      const term = Math.max(handler.term(), newerTermOf(error));
      await channel.send({ type: 'superseded', epoch: 0, term });
      channel.end();
    } else await refuse(channel, reasonOf(error), handler.term());
  }
}
