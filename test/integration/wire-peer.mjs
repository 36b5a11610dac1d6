// A peer that says what it is told to, from inside a laboratory host and with that host's certificate: reads
// {host, port, frames, raw, plain} as JSON from the command line, sends each frame (type, epoch, term, payload as
// base64) or raw bytes, and prints what comes back, one JSON line per frame, then {"closed": reason}. With `plain` the
// connection is not TLS; `pki` names another directory of certificates, or null for none.
import { connect as connectPlain } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { ClusterTrust } from '../../dist/pki/cluster-trust.js';
import { connectChannel } from '../../dist/wire/channel.js';
import { FrameParser } from '../../dist/wire/frames.js';
import { connectSecure } from '../../dist/wire/secure-connect.js';
import { tlsOptions } from '../../dist/wire/tls-options.js';

const request = JSON.parse(process.argv[2]);
const { host, port, frames = [], raw, linger = 2000, plain = false } = request;
const { pki = '/etc/understudy/pki' } = request;
const print = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

/** Believes whoever answers: what is tried here is what the other side believes. */
const credulous = {
  credentials: async () => {
    if (pki === null) return { ca: undefined, certificate: undefined, key: undefined };
    const trust = new ClusterTrust({ pki, hosts: '/etc/understudy/hosts.yaml' });
    return trust.credentials();
  },
  identify: async () => host,
};

/** An error of the peer's own, in place of what came. */
const failed = (error) => print({ failed: error.code ?? error.message });

async function sendRaw() {
  const options = { ...tlsOptions(await credulous.credentials()), rejectUnauthorized: false };
  const socket = plain ? connectPlain({ host, port }) : connectTls({ host, port, ...options });
  const parser = new FrameParser(({ type, payload }) => print({ type, text: payload.toString() }));
  if (!plain) socket.on('data', (bytes) => parser.push(bytes));
  else socket.resume();
  socket.on('error', (error) => print({ error: error.message }));
  socket.on('close', () => print({ closed: true }));
  socket.once(plain ? 'connect' : 'secureConnect', () => socket.write(Buffer.from(raw, 'base64')));
  setTimeout(() => socket.destroy(), linger).unref();
}

async function sendFrames() {
  const address = { host, port };
  const channel = plain ? await connectChannel(address) : await connectSecure(address, credulous);
  const closed = new Promise((resolve) =>
    channel.receive({
      onFrame: ({ type, epoch, term, payload }) =>
        print({ type, epoch, term, text: payload.toString('utf8') }),
      onClosed: (error) => resolve(error?.message ?? 'ended'),
    }),
  );
  const timer = setTimeout(() => channel.destroy(), linger);
  try {
    for (const { type, epoch = 0, term = 1, payload = '' } of frames) {
      await channel.send({ type, epoch, term }, Buffer.from(payload, 'base64'));
    }
  } catch (error) {
    failed(error);
  }
  print({ closed: await closed });
  clearTimeout(timer);
}

await (raw === undefined ? sendFrames() : sendRaw()).catch(failed);
