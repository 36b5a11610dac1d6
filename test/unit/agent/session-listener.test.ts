/** A refusal is heard: the caller may be slow, and say its HELLO long after it was turned away. */
import type { Server } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Log } from '../../../src/agent/log.js';
import { listenForHello } from '../../../src/agent/session/session-listener.js';
import type { ClusterHost } from '../../../src/config/hosts-file.js';
import { ClusterTrust } from '../../../src/pki/cluster-trust.js';
import { decodeMessage } from '../../../src/wire/messages.js';
import { connectSecure } from '../../../src/wire/secure-connect.js';
import { loopbackHost, makeAuthority, removeHostFiles } from '../pki/cluster.js';

const B: ClusterHost = { name: 'b', addresses: ['127.0.0.1'], port: 1 };

const servers: Server[] = [];
let calling: ClusterTrust;
let called: ClusterTrust;
beforeAll(async () => {
  const authority = await makeAuthority();
  calling = new ClusterTrust(await loopbackHost(authority, 'a'));
  called = new ClusterTrust(await loopbackHost(authority, 'b', { hosts: [B] }));
});
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});
afterAll(removeHostFiles);

describe('a host that was removed', () => {
  it.each([0, 100])('learns so when it says HELLO %d ms after the handshake', async (lateMs) => {
    const logged: object[] = [];
    const log: Log = { debug: note, info: note, warn: note, error: note };
    function note(_event: string, facts: object = {}): void {
      logged.push(facts);
    }
    const { server, port } = await listenForHello(
      { host: '127.0.0.1', port: 0 },
      { onHello: () => Promise.reject(new Error('it was let in')), term: () => 0 },
      { security: called, log },
    );
    servers.push(server);
    const channel = await connectSecure({ host: '127.0.0.1', port }, calling);
    await delay(lateMs);
    await channel.send({ type: 'hello', epoch: 0, term: 1 }, Buffer.from('{}'));
    const { type, payload } = await channel.next(2_000);
    expect(type).toBe('refuse');
    expect(decodeMessage('refuse', payload).code).toBe('WIRE_UNKNOWN_HOST');
    channel.destroy();
    expect(logged).toEqual([expect.objectContaining({ code: 'WIRE_UNKNOWN_HOST' })]);
  });
});
