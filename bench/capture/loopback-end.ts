/**
 * The same as loopback.c in Node. Run as a process of its own: `send ADDRESS PORT BYTES` or
 * `receive ADDRESS PORT BYTES`. The sender listens, because only a connecting socket may be read into one
 * buffer again and again (`onread`), which is the fastest that Node offers.
 */
import { connect, createServer } from 'node:net';

const PIECE_BYTES = 1024 * 1024;

function send(address: { host: string; port: number }, bytes: number): void {
  const piece = Buffer.alloc(PIECE_BYTES, 0x5a);
  const server = createServer((socket) => {
    server.close();
    let left = bytes;
    const write = (): void => {
      while (left > 0) {
        const length = Math.min(left, PIECE_BYTES);
        left -= length;
        if (!socket.write(piece.subarray(0, length))) return;
      }
      socket.end();
    };
    socket.on('drain', write);
    write();
  });
  server.listen(address, () => process.stdout.write('listening\n'));
}

function receive(address: { host: string; port: number }, bytes: number): void {
  const startMs = performance.now();
  let left = bytes;
  const onread = {
    buffer: Buffer.alloc(PIECE_BYTES),
    callback: (got: number): boolean => {
      left -= got;
      if (left === 0) {
        process.stdout.write(`${Math.round(bytes / ((performance.now() - startMs) / 1000))}\n`);
      }
      return true;
    },
  };
  connect({ ...address, onread });
}

const [, , role, host = '', port = '', bytes = ''] = process.argv;
const run = role === 'send' ? send : receive;
run({ host, port: Number(port) }, Number(bytes));
