/** Listeners and connections over TLS on the loopback address. */
import { createServer, type Server, type Socket } from 'node:net';
import { deferred } from '../../../src/deferred.js';
import type { FrameChannel } from '../../../src/wire/channel.js';
import { connectSecure } from '../../../src/wire/secure-connect.js';
import { acceptSecure, type SecureConnection } from '../../../src/wire/secure-listener.js';
import type { PeerTrust } from '../../../src/wire/trust.js';

const servers: Server[] = [];
const sockets: Socket[] = [];

export interface SecurePort {
  port: number;
  /** What became of the first connection. */
  accepted: Promise<SecureConnection>;
}

export async function secureListener(trust: PeerTrust, timeoutMs?: number): Promise<SecurePort> {
  const accepted = deferred<SecureConnection>();
  accepted.promise.catch(() => undefined);
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    sockets.push(socket);
    acceptSecure(socket, trust, timeoutMs).then(accepted.resolve, accepted.reject);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { port: address.port, accepted: accepted.promise };
}

/** The one that called, the one that was called. */
export async function securePair(
  calling: PeerTrust,
  called: PeerTrust,
): Promise<{ client: FrameChannel; server: FrameChannel }> {
  const { port, accepted } = await secureListener(called);
  const client = await connectSecure({ host: '127.0.0.1', port }, calling);
  const { channel: server, refusal } = await accepted;
  if (refusal !== undefined) throw refusal;
  return { client, server };
}

/** For `afterEach`. */
export function closeSecure(): void {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) server.close();
}
