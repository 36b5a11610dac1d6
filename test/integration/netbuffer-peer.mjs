// One end of a test connection, run inside a network namespace:
//   node netbuffer-peer.mjs ROLE ADDRESS PORT
// Takes one command per line on stdin and answers each with one line of JSON, so that the test waits
// for answers and never for a time.
import { createHash } from 'node:crypto';
import net from 'node:net';
import { createInterface } from 'node:readline';

const [role, address, portText] = process.argv.slice(2);
const port = Number(portText);

const roles = {
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
    await new Promise((done) => server.listen(port, address, done));
    return { total: () => total, digest: () => hash.copy().digest('hex') };
  },

  /** Connects, and writes BYTES of a changing pattern when told to; the digest is of what it wrote. */
  async source() {
    const socket = net.connect(port, address);
    await new Promise((done, fail) => socket.once('connect', done).once('error', fail));
    const hash = createHash('sha256');
    let bytes = 0;
    return {
      write: (wanted) => {
        const end = bytes + Number(wanted);
        while (bytes < end) {
          const block = Buffer.alloc(Math.min(65536, end - bytes), bytes % 251);
          bytes += block.length;
          hash.update(block);
          socket.write(block);
        }
        return { bytes, digest: hash.copy().digest('hex') };
      },
    };
  },
};

const commands = await roles[role]();
process.stdout.write('{"value":"ready"}\n');
for await (const line of createInterface({ input: process.stdin })) {
  const [command, ...words] = line.split(' ');
  try {
    process.stdout.write(`${JSON.stringify({ value: await commands[command](...words) })}\n`);
  } catch (error) {
    process.stdout.write(`${JSON.stringify({ error: String(error) })}\n`);
  }
}
process.exit(0);
