/** Asks another host's agent what it has of a domain. */
import {
  type CarriedDisk,
  decodeMessage,
  type Message,
  PROTOCOL_VERSIONS,
  type StandbyNeeds,
} from '../../wire/messages.js';
import type { PeerTrust } from '../../wire/trust.js';
import { askAgent } from './peer-agent.js';

/** Also whether that agent could keep these disks. @throws WIRE_…, PKI_… */
export async function askReport(
  agent: { host: string; port: number },
  domain: string,
  disks: readonly CarriedDisk[],
  trust: PeerTrust,
  needs?: StandbyNeeds,
): Promise<Message<'reported'>> {
  const versions = [...PROTOCOL_VERSIONS];
  const question = { purpose: 'report' as const, versions, domain, disks: [...disks], needs };
  const frame = await askAgent({ agent, trust }, 'report', question, 0);
  return decodeMessage('reported', frame.payload);
}
