/** Two ends of a real loopback connection. */
import { createServer, type Server, type Socket } from 'node:net';
import { deferred } from '../../../src/deferred.js';
import { connectChannel, FrameChannel } from '../../../src/wire/channel.js';

const servers: Server[] = [];
const sockets: Socket[] = [];

/** The one that connected, the one that accepted, and the socket of that one. */
export async function connectedPair(): Promise<[FrameChannel, FrameChannel, Socket]> {
  const accepted = deferred<Socket>();
  const server = createServer((socket) => accepted.resolve(socket));
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const client = await connectChannel({ host: '127.0.0.1', port: address.port });
  const socket = await accepted.promise;
  sockets.push(socket);
  return [client, new FrameChannel(socket), socket];
}

/** For `afterEach`. */
export function closePairs(): void {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) server.close();
}
