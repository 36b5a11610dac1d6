// A peer that says what it is told to, from inside a laboratory host: reads {host, port, frames,
// raw} as JSON from the command line, sends each frame (type, epoch, term, payload as base64) or
// raw bytes, and prints what comes back, one JSON line per frame, then {"closed": reason}.
import { connectChannel } from '../../dist/wire/channel.js';
import { FrameParser } from '../../dist/wire/frames.js';
import { connect } from 'node:net';

const { host, port, frames = [], raw, linger = 2000 } = JSON.parse(process.argv[2]);
const print = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

if (raw !== undefined) {
  const socket = connect({ host, port });
  const parser = new FrameParser(({ type, payload }) => print({ type, text: payload.toString() }));
  socket.on('data', (bytes) => parser.push(bytes));
  socket.on('error', (error) => print({ error: error.message }));
  socket.on('close', () => print({ closed: true }));
  socket.write(Buffer.from(raw, 'base64'));
  setTimeout(() => socket.destroy(), linger).unref();
} else {
  const channel = await connectChannel({ host, port });
  const closed = new Promise((resolve) =>
    channel.receive({
      onFrame: ({ type, epoch, term, payload }) =>
        print({ type, epoch, term, text: payload.toString('utf8') }),
      onClosed: (error) => resolve(error?.message ?? 'ended'),
    }),
  );
  for (const { type, epoch = 0, term = 1, payload = '' } of frames) {
    await channel.send({ type, epoch, term }, Buffer.from(payload, 'base64'));
  }
  const timer = setTimeout(() => channel.destroy(), linger);
  print({ closed: await closed });
  clearTimeout(timer);
}
