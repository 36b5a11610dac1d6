/** Asks another host's agent what it has of a domain. */
import { wireError } from '../wire/errors.js';
import { HELLO_TIMEOUT_MS } from '../wire/limits.js';
import {
  type CarriedDisk,
  decodeMessage,
  type Message,
  PROTOCOL_VERSIONS,
} from '../wire/messages.js';
import { connectSecure } from '../wire/secure-connect.js';
import type { PeerTrust } from '../wire/trust.js';
import { refusalOf } from './refusal.js';

/** Also whether that agent could keep these disks. @throws WIRE_…, PKI_… */
export async function askReport(
  agent: { host: string; port: number },
  domain: string,
  disks: readonly CarriedDisk[],
  trust: PeerTrust,
): Promise<Message<'reported'>> {
  const channel = await connectSecure(agent, trust);
  try {
    await channel.sendMessage(
      'hello',
      'report',
      { purpose: 'report', versions: [...PROTOCOL_VERSIONS], domain, disks: [...disks] },
      { term: 0 },
    );
    const frame = await channel.next(HELLO_TIMEOUT_MS);
    if (frame.type === 'welcome') return decodeMessage('reported', frame.payload);
    if (frame.type === 'refuse') throw refusalOf(frame, `${agent.host} refused`);
    throw wireError('WIRE_UNEXPECTED', `${frame.type} for a report`);
  } finally {
    channel.destroy();
  }
}
