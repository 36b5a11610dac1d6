/**
 * The program behind Witness: runs in the client's network namespace, receives the beacon and
 * asks programs in the guest, as any client on the network would. Talks to its parent over the IPC channel and
 * ends with it.
 */
import { createSocket } from 'node:dgram';
import { BeaconLog } from './beacon-log.js';
import { ASK_RETRY_MS } from './limits.js';
import { BEACON_PORT } from './ports.js';
import type { Question, WitnessReply, WitnessRequest } from './witness.js';

const beacon = new BeaconLog();

const listener = createSocket('udp4', (payload) => {
  beacon.receive(payload, process.hrtime.bigint());
});
// Failing to bind is fatal and ends this process with its reason on stderr.
listener.bind(BEACON_PORT, () => reply({ kind: 'ready' }));

process.on('message', (request: WitnessRequest) => {
  if (request.kind === 'beacon') reply({ kind: 'beacon', id: request.id, report: beacon.report() });
  else ask(request.id, request.question);
});
process.on('disconnect', () => process.exit(0));

/** Asks until an answer comes: a datagram may be lost, or be held with the guest's output. */
function ask(id: number, { address, port, text, timeoutMs }: Question): void {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  const send = () => socket.send(text, port, address);
  const again = setInterval(send, ASK_RETRY_MS);
  const finish = (line: string | undefined) => {
    clearInterval(again);
    clearTimeout(deadline);
    socket.close();
    reply({ kind: 'ask', id, line });
  };
  const deadline = setTimeout(() => finish(undefined), timeoutMs);
  socket.once('message', (answer) => finish(answer.toString('latin1')));
  // "Connection refused" while the guest is not there yet: the next try may succeed.
  socket.on('error', () => undefined);
  send();
}

function reply(message: WitnessReply): void {
  process.send?.(message);
}
