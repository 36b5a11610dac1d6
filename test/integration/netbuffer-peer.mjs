// One end of a test connection, run inside a network namespace:
//   node netbuffer-peer.mjs ROLE [ADDRESS [PORT]]
// Takes one JSON command per line on stdin and answers one JSON line each, so that the test
// waits for answers and never for a time.
import { createHash } from 'node:crypto';
import dgram from 'node:dgram';
import net from 'node:net';
import { createInterface } from 'node:readline';

const [role, address = '::', portText = '7000'] = process.argv.slice(2);
const port = Number(portText);

const roles = {
  /** Remembers every numbered datagram, IPv4 and IPv6. */
  async receiver() {
    const seen = [];
    const socket = dgram.createSocket({ type: 'udp6', recvBufferSize: 4 << 20 });
    socket.on('message', (message) => seen.push(Number(message.toString())));
    await new Promise((done) => socket.bind(port, '::', done));
    return {
      seen: () => [...seen],
      forget: () => seen.splice(0).length,
      send: ({ to, number }) =>
        new Promise((done, fail) =>
          socket.send(String(number), port, to.includes(':') ? to : `::ffff:${to}`, (e) =>
            e ? fail(e) : done(true),
          ),
        ),
    };
  },

  /** Sends numbered datagrams, as a burst or as a stream until told to stop. */
  async sender() {
    const sockets = { 4: dgram.createSocket('udp4'), 6: dgram.createSocket('udp6') };
    await new Promise((done) => sockets[4].bind(0, done));
    const send = (to, number) =>
      new Promise((done, fail) =>
        sockets[to.includes(':') ? 6 : 4].send(String(number), port, to, (e) =>
          e ? fail(e) : done(),
        ),
      );
    let timer;
    let next = 1;
    return {
      burst: async ({ to, from, through }) => {
        for (let number = from; number <= through; number++) await send(to, number);
        return through - from + 1;
      },
      stream: ({ to }) => {
        timer = setInterval(() => send(to, next++), 1);
        return true;
      },
      stop: () => {
        clearInterval(timer);
        return next - 1;
      },
    };
  },

  /** Counts and digests what comes in on one TCP connection. */
  async sink() {
    const total = { bytes: 0, ended: false, error: null };
    const hash = createHash('sha256');
    const server = net.createServer((socket) => {
      socket.on('data', (data) => {
        total.bytes += data.length;
        hash.update(data);
      });
      socket.on('end', () => {
        total.ended = true;
      });
      socket.on('error', (error) => {
        total.error = error.code;
      });
    });
    await new Promise((done) => server.listen(port, '::', done));
    return { total: () => total, digest: () => hash.copy().digest('hex') };
  },

  /** Writes a changing pattern to a TCP sink until told to stop; the digest is of what it wrote. */
  async source() {
    const hash = createHash('sha256');
    const socket = net.connect(port, address);
    await new Promise((done, fail) => socket.once('connect', done).once('error', fail));
    let bytes = 0;
    let running = true;
    const fill = () => {
      while (running) {
        const block = Buffer.alloc(65536, bytes % 251);
        bytes += block.length;
        hash.update(block);
        if (!socket.write(block)) return;
      }
    };
    socket.on('drain', fill);
    return {
      start: () => {
        fill();
        return true;
      },
      sent: () => bytes,
      stop: () =>
        new Promise((done) => {
          running = false;
          socket.end(() => done({ bytes, digest: hash.digest('hex') }));
        }),
    };
  },
};

const commands = await roles[role]();
process.stdout.write('{"ready":true}\n');
for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...options } = JSON.parse(line);
  try {
    process.stdout.write(`${JSON.stringify({ value: await commands[command](options) })}\n`);
  } catch (error) {
    process.stdout.write(`${JSON.stringify({ error: String(error) })}\n`);
  }
}
process.exit(0);
