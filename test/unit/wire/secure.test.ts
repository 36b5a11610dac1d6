/** TLS between hosts: who is let in, and that a channel over it keeps what it promises. */
import { readFile } from 'node:fs/promises';
import { connect as connectPlain, createServer } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type ClusterHost, renderHosts } from '../../../src/config/hosts-file.js';
import { deferred } from '../../../src/deferred.js';
import { writeDurable } from '../../../src/durable-file.js';
import type { CertifiedKey } from '../../../src/pki/authority.js';
import { ClusterTrust } from '../../../src/pki/cluster-trust.js';
import type { FrameChannel } from '../../../src/wire/channel.js';
import type { Frame } from '../../../src/wire/frames.js';
import { connectSecure } from '../../../src/wire/secure-connect.js';
import { tlsOptions } from '../../../src/wire/tls-options.js';
import type { Credentials, PeerTrust } from '../../../src/wire/trust.js';
import {
  type HostFiles,
  loopbackHost,
  makeAuthority,
  removeHostFiles,
  validFor,
} from '../pki/cluster.js';
import { closeSecure, secureListener, securePair } from './secure-loopback.js';

const coded = (code: string) => expect.objectContaining({ code });
const HOST = '127.0.0.1';

let authority: CertifiedKey;
let a: ClusterTrust;
let b: ClusterTrust;
beforeAll(async () => {
  authority = await makeAuthority();
  a = new ClusterTrust(await loopbackHost(authority, 'a'));
  b = new ClusterTrust(await loopbackHost(authority, 'b'));
});
afterEach(closeSecure);
afterAll(removeHostFiles);

describe('a caller', () => {
  /** What host b says of a caller with these files; the caller itself believes everything. */
  async function refusalOf(files: HostFiles): Promise<unknown> {
    const { port, accepted } = await secureListener(b);
    const own = await new ClusterTrust({ ...files }).credentials().catch(() => undefined);
    const credentials = own ?? (await readAnyway(files));
    const socket = connectTls({ host: HOST, port, ...believing(credentials) });
    socket.on('error', () => undefined);
    const { refusal } = await accepted;
    socket.destroy();
    return refusal;
  }

  it('of the cluster is let in', async () => {
    expect(await refusalOf(await loopbackHost(authority, 'c'))).toBeUndefined();
  });

  it('with a certificate of another CA is not', async () => {
    const foreign = await loopbackHost(await makeAuthority(), 'a');
    expect(await refusalOf(foreign)).toEqual(coded('WIRE_FOREIGN_CA'));
  });

  it('with a certificate that expired, or does not hold yet, is not', async () => {
    for (const validity of [validFor(-2, -1), validFor(1, 2)]) {
      const files = await loopbackHost(authority, 'a', { validity });
      expect(await refusalOf(files)).toEqual(coded('WIRE_CERTIFICATE_EXPIRED'));
    }
  });

  it('without a certificate is not', async () => {
    const { port, accepted } = await secureListener(b);
    const socket = connectTls({ host: HOST, port, rejectUnauthorized: false });
    socket.on('error', () => undefined);
    expect((await accepted).refusal).toEqual(coded('WIRE_NO_CERTIFICATE'));
    socket.destroy();
  });

  it('that was removed from hosts.yaml is not, from then on', async () => {
    const hosts: ClusterHost[] = ['a', 'b'].map((name) => ({ name, addresses: [name], port: 1 }));
    const files = await loopbackHost(authority, 'b', { hosts });
    const trust = new ClusterTrust(files);
    const { client } = await securePair(a, trust);
    client.destroy();
    await writeDurable(files.hosts, renderHosts(hosts.slice(1)));
    await expect(securePair(a, trust)).rejects.toEqual(coded('WIRE_UNKNOWN_HOST'));
  });

  it('may hang up while it is judged', async () => {
    const [asked, judged] = [deferred(), deferred()];
    const { port, accepted } = await secureListener(slowly(b, judged.promise, asked.resolve));
    const plain = connectPlain({ host: HOST, port });
    const caller = connectTls({ socket: plain, ...(await asCaller(a)) });
    await asked.promise;
    caller.on('error', () => undefined);
    plain.resetAndDestroy();
    // Whoever shakes hands after it was heard after it.
    (await securePair(a, b)).client.destroy();
    judged.resolve();
    const { channel } = await accepted;
    await expect(channel.next(1_000)).rejects.toEqual(coded('WIRE_CLOSED'));
  });

  it('that does not speak TLS costs its connection', async () => {
    for (const bytes of [Buffer.alloc(64, 0x47), Buffer.from('GET / HTTP/1.1\r\n\r\n')]) {
      const { port, accepted } = await secureListener(b);
      const socket = connectPlain({ host: HOST, port }).on('error', () => undefined);
      const closed = new Promise((resolve) => socket.once('close', resolve));
      socket.resume().write(bytes);
      await expect(accepted).rejects.toEqual(coded('WIRE_NOT_TLS'));
      await closed;
    }
  });

  it('that says nothing, trickles, or hangs up in the middle costs its connection in a bounded time', async () => {
    const silent = await secureListener(b, 100);
    const waiting = connectPlain({ host: HOST, port: silent.port }).on('error', () => undefined);
    await expect(silent.accepted).rejects.toEqual(coded('WIRE_HANDSHAKE_FAILED'));
    waiting.destroy();
    const slow = await secureListener(b, 200);
    const trickling = connectPlain({ host: HOST, port: slow.port }).on('error', () => undefined);
    const trickle = setInterval(() => trickling.write(Buffer.from([0x16])), 20);
    await expect(slow.accepted).rejects.toMatchObject({ code: expect.stringMatching(/^WIRE_/) });
    clearInterval(trickle);
    trickling.destroy();
    const left = await secureListener(b);
    connectPlain({ host: HOST, port: left.port }).end(Buffer.from([0x16, 3, 1]));
    await expect(left.accepted).rejects.toEqual(coded('WIRE_HANDSHAKE_FAILED'));
  });
});

describe('one who is called', () => {
  it('must have a certificate of the cluster', async () => {
    const foreign = new ClusterTrust(await loopbackHost(await makeAuthority(), 'b'));
    await expect(securePair(a, foreign)).rejects.toEqual(coded('WIRE_FOREIGN_CA'));
  });

  it('is heard also when it answers before it is judged', async () => {
    const judged = deferred();
    const { port, accepted } = await secureListener(b);
    const calling = connectSecure({ host: HOST, port }, slowly(a, judged.promise));
    const { channel } = await accepted;
    await channel.send({ type: 'refuse', epoch: 0, term: 7 });
    // As above.
    (await securePair(a, b)).client.destroy();
    judged.resolve();
    const client = await calling;
    expect(await client.next(1_000)).toMatchObject({ type: 'refuse', term: 7 });
    client.destroy();
  });

  it('must be the host that was called', async () => {
    const hosts: ClusterHost[] = [
      { name: 'a', addresses: [HOST], port: 1 },
      { name: 'b', addresses: ['10.0.0.2'], port: 1 },
    ];
    const calling = new ClusterTrust(await loopbackHost(authority, 'a', { hosts }));
    await expect(securePair(calling, b)).rejects.toEqual(coded('WIRE_UNKNOWN_HOST'));
  });

  it('must speak TLS, and soon', async () => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.write('220 ready\r\n');
    });
    await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    await expect(connectSecure({ host: HOST, port }, a)).rejects.toEqual(coded('WIRE_NOT_TLS'));
    server.close();
    const mute = createServer((socket) => void socket.on('error', () => undefined).resume());
    await new Promise<void>((resolve) => mute.listen(0, HOST, resolve));
    const muteAddress = mute.address();
    const mutePort = typeof muteAddress === 'object' && muteAddress !== null ? muteAddress.port : 0;
    await expect(connectSecure({ host: HOST, port: mutePort }, a, 100)).rejects.toEqual(
      coded('WIRE_HANDSHAKE_FAILED'),
    );
    mute.close();
  });

  it('must be there', async () => {
    await expect(connectSecure({ host: HOST, port: 1 }, a)).rejects.toEqual(
      coded('WIRE_UNREACHABLE'),
    );
  });

  it('is not called with certificates of ours that are not there', async () => {
    const none = new ClusterTrust({ pki: '/nowhere/pki', hosts: '/nowhere/hosts.yaml' });
    await expect(connectSecure({ host: HOST, port: 1 }, none)).rejects.toEqual(
      coded('PKI_MISSING'),
    );
  });
});

describe('a channel over TLS', () => {
  const collect = (channel: FrameChannel, wanted: number): Promise<Frame[]> => {
    const frames: Frame[] = [];
    return new Promise((resolve, reject) =>
      channel.receive({
        onFrame: async (frame) => {
          await new Promise((next) => setImmediate(next));
          frames.push(frame);
          if (frames.length === wanted) resolve(frames);
        },
        onClosed: (error) => reject(error ?? new Error('closed')),
      }),
    );
  };

  it.each(['to the called', 'to the caller'])('carries large and empty frames %s', async (way) => {
    const { client, server } = await securePair(a, b);
    const [from, to] = way === 'to the called' ? [client, server] : [server, client];
    to.allocateWith((bytes) => Buffer.alloc(bytes));
    const received = collect(to, 30);
    for (let epoch = 1; epoch <= 30; epoch += 1) {
      const payload = Buffer.alloc(epoch % 3 === 0 ? 0 : epoch * 40_000, epoch);
      await from.send({ type: 'chunk', epoch, term: 1 }, payload);
    }
    const frames = await received;
    expect(frames.map(({ epoch }) => epoch)).toEqual(Array.from({ length: 30 }, (_, at) => at + 1));
    const whole = frames.every(
      ({ epoch, payload }) =>
        payload.length === (epoch % 3 === 0 ? 0 : epoch * 40_000) &&
        payload.every((byte) => byte === epoch),
    );
    expect(whole).toBe(true);
    client.destroy();
  });

  it('reads nothing while it does not listen, and then everything', async () => {
    const { client, server } = await securePair(a, b);
    client.expectSmall();
    const seen: number[] = [];
    const all = deferred();
    client.receive({
      onFrame: ({ epoch }) => {
        seen.push(epoch);
        if (seen.length === 20) all.resolve();
      },
      onClosed: () => undefined,
    });
    client.listen(false);
    for (let epoch = 1; epoch <= 20; epoch += 1) {
      await server.send({ type: 'heartbeat', epoch, term: 1 }, Buffer.alloc(16));
    }
    // What was read would be delivered by now: the other way a whole round trip is over.
    const answered = server.next(1_000);
    await client.send({ type: 'heartbeat', epoch: 1, term: 1 }, Buffer.alloc(16));
    await answered;
    expect(seen).toEqual([]);
    client.listen(true);
    await all.promise;
    expect(seen).toEqual(Array.from({ length: 20 }, (_, at) => at + 1));
    client.destroy();
  });

  it('delivers what arrived whole before the end, then says that it closed', async () => {
    for (const turned of [false, true]) {
      const { client, server } = await securePair(a, b);
      const [from, to] = turned ? [server, client] : [client, server];
      await from.send({ type: 'committed', epoch: 9, term: 1 });
      from.end();
      const epochs: number[] = [];
      const reason = await new Promise<Error | undefined>((resolve) =>
        to.receive({ onFrame: ({ epoch }) => void epochs.push(epoch), onClosed: resolve }),
      );
      expect(epochs).toEqual([9]);
      expect(reason).toBeUndefined();
      expect(to.isClosed).toBe(true);
    }
  });

  it('says why it closed: destroyed here, gone there, malformed frame', async () => {
    const first = await securePair(a, b);
    const here = new Promise((resolve) =>
      first.server.receive({ onFrame: () => undefined, onClosed: resolve }),
    );
    first.server.destroy(new Error('no more'));
    expect(await here).toMatchObject({ message: 'no more' });

    const { port, accepted } = await secureListener(b);
    const stranger = connectTls({ host: HOST, port, ...(await asCaller(a)) });
    const { channel } = await accepted;
    const reason = new Promise((resolve) =>
      channel.receive({ onFrame: () => undefined, onClosed: resolve }),
    );
    stranger.write(Buffer.alloc(24, 0xee));
    expect(await reason).toEqual(coded('WIRE_BAD_MAGIC'));
    stranger.destroy();
  });

  it('limits silence, but not a transfer that the receiver takes slowly', async () => {
    const { client, server } = await securePair(a, b);
    const limitMs = 200;
    client.limitSilence(limitMs);
    const closed = deferred<Error | undefined>();
    client.receive({ onFrame: () => undefined, onClosed: (error) => closed.resolve(error) });
    server.receive({
      onFrame: () => new Promise((next) => setTimeout(next, 20)),
      onClosed: () => undefined,
    });
    const beganMs = performance.now();
    for (let epoch = 1; epoch <= 40; epoch += 1) {
      await client.send({ type: 'chunk', epoch, term: 1 }, Buffer.alloc(2 * 1024 ** 2));
    }
    expect(performance.now() - beganMs).toBeGreaterThan(2 * limitMs);
    expect(client.isClosed).toBe(false);
    expect(await closed.promise).toEqual(coded('WIRE_TIMED_OUT'));
  });
});

/** Judges once `judged` has resolved. */
const slowly = (trust: PeerTrust, judged: Promise<void>, onAsked?: () => void): PeerTrust => ({
  credentials: () => trust.credentials(),
  identify: async (...of) => {
    onAsked?.();
    await judged;
    return trust.identify(...of);
  },
});

const believing = (credentials: Credentials) => ({
  ...tlsOptions(credentials),
  rejectUnauthorized: false,
});

const asCaller = async (trust: PeerTrust) => believing(await trust.credentials());

/** Credentials that this host itself would refuse to use. */
async function readAnyway({ files }: HostFiles) {
  const [ca, certificate, key] = await Promise.all(
    [files.ca, files.certificate, files.key].map((path) => readFile(path, 'utf8')),
  );
  return { ca: ca ?? '', certificate: certificate ?? '', key: key ?? '' };
}
