// A process that holds a tap with the `holder` backend, from the built product:
//   node netbuffer-holding.mjs TAP BRIDGE
// Takes one command per line on stdin and answers each with one line of JSON (netbuffer-peer.ts).
import { createInterface } from 'node:readline';
import { holderBackend } from '../../dist/netbuffer/holder.js';

const [tap, bridge] = process.argv.slice(2);
const nothing = () => undefined;
const monotonicMs = () => Number(process.hrtime.bigint()) / 1e6;

const hold = await holderBackend.holdOutput({
  tap,
  bridge,
  epoch: 1,
  onWaiting: nothing,
  onFilling: nothing,
  onTrouble: nothing,
});

const commands = {
  /** Output passes for so long, and on and on for as long as this process runs. */
  lease: (lengthMs) => {
    const renew = () => hold.passUntil(monotonicMs() + Number(lengthMs));
    renew();
    setInterval(renew, Number(lengthMs) / 4);
    return true;
  },
  stats: () => ({ ...hold.stats(), oldestHeldNs: undefined }),
};

process.stdout.write('{"value":"holding"}\n');
for await (const line of createInterface({ input: process.stdin })) {
  const [command, ...words] = line.split(' ');
  try {
    process.stdout.write(`${JSON.stringify({ value: commands[command](...words) })}\n`);
  } catch (error) {
    process.stdout.write(`${JSON.stringify({ error: String(error) })}\n`);
  }
}
process.exit(0);
