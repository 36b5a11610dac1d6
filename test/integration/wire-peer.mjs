// A peer that says what it is told to, from inside a laboratory host and with that host's certificate: reads
// {host, port, frames, raw, plain} as JSON from the command line, sends each frame (type, epoch, term, payload as
// base64) or raw bytes, and prints what comes back, one JSON line per frame, then {"closed": reason}. With `plain` the
// connection is not TLS; `pki` names another directory of certificates, or null for none.
import { readFileSync } from 'node:fs';
import { connect as connectPlain } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { FrameChannel } from '../../dist/wire/channel.js';
import { FrameParser } from '../../dist/wire/frames.js';
import { tlsOptions } from '../../dist/wire/tls-options.js';

const request = JSON.parse(process.argv[2]);
const { host, port, frames = [], raw, linger = 2000, plain = false } = request;
const { pki = '/etc/understudy/pki' } = request;
const print = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

/** Believes whoever answers, and shows what it was told to: what is tried is what the other side believes. */
function connectAnyway() {
  if (plain) return connectPlain({ host, port });
  const file = (name) => readFileSync(`${pki}/${name}`, 'utf8');
  const own =
    pki === null
      ? {}
      : { ca: file('ca.crt'), certificate: file('host.crt'), key: file('host.key') };
  return connectTls({ host, port, ...tlsOptions(own), rejectUnauthorized: false });
}

function connected(socket) {
  return new Promise((resolve, reject) => {
    socket.once(plain ? 'connect' : 'secureConnect', resolve);
    socket.once('error', reject);
  });
}

async function sendRaw() {
  const socket = connectAnyway();
  const parser = new FrameParser(({ type, payload }) => print({ type, text: payload.toString() }));
  if (plain) socket.resume();
  else socket.on('data', (bytes) => parser.push(bytes));
  socket.on('error', (error) => print({ error: error.message }));
  socket.on('close', () => print({ closed: true }));
  await connected(socket);
  socket.write(Buffer.from(raw, 'base64'));
  setTimeout(() => socket.destroy(), linger).unref();
}

async function sendFrames() {
  const socket = connectAnyway();
  await connected(socket);
  const channel = new FrameChannel(socket);
  const closed = new Promise((resolve) =>
    channel.receive({
      onFrame: ({ type, epoch, term, payload }) =>
        print({ type, epoch, term, text: payload.toString('utf8') }),
      onClosed: (error) => resolve(error?.message ?? 'ended'),
    }),
  );
  const timer = setTimeout(() => channel.destroy(), linger);
  for (const { type, epoch = 0, term = 1, payload = '' } of frames) {
    // Who is not let in learns why by what comes back.
    await channel
      .send({ type, epoch, term }, Buffer.from(payload, 'base64'))
      .catch((error) => print({ failed: error.code ?? error.message }));
  }
  print({ closed: await closed });
  clearTimeout(timer);
}

await (raw === undefined ? sendFrames() : sendRaw());
