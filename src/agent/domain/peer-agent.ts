/** One question to another host's agent, and its answer. */
import { wireError } from '../../wire/errors.js';
import type { Frame } from '../../wire/frames.js';
import { HELLO_TIMEOUT_MS } from '../../wire/limits.js';
import { decodeMessage, type Message, PROTOCOL_VERSIONS } from '../../wire/messages.js';
import { connectSecure } from '../../wire/secure-connect.js';
import type { PeerTrust } from '../../wire/trust.js';
import { SWITCHOVER_TIMEOUT_MS } from '../limits.js';
import { refusalOf } from '../session/refusal.js';
import { supersededBy } from '../session/superseded.js';

export interface OtherHost {
  agent: { host: string; port: number };
  trust: PeerTrust;
}

/**
 * The `welcome` that answers `question`. @throws WIRE_STALE_TERM with the newer term, the other host's refusal,
 * WIRE_UNREACHABLE, WIRE_TIMED_OUT
 */
export async function askAgent<N extends 'report' | 'claim' | 'switchover'>(
  { agent, trust }: OtherHost,
  name: N,
  question: Message<N>,
  term: number,
  timeoutMs = HELLO_TIMEOUT_MS,
): Promise<Frame> {
  const channel = await connectSecure(agent, trust);
  try {
    await channel.sendMessage('hello', name, question, { term });
    const frame = await channel.next(timeoutMs);
    if (frame.type === 'welcome') return frame;
    if (frame.type === 'superseded') throw supersededBy(frame.term);
    if (frame.type === 'refuse') throw refusalOf(frame, `${agent.host} refused`);
    throw wireError('WIRE_UNEXPECTED', `${frame.type} for a ${name}`);
  } finally {
    channel.destroy();
  }
}

/** The other host writes `term` down and will refuse every older one; it can then not take the domain over any more. */
export async function claimTerm(other: OtherHost, domain: string, term: number): Promise<void> {
  const versions = [...PROTOCOL_VERSIONS];
  const { payload } = await askAgent(other, 'claim', { purpose: 'claim', versions, domain }, term);
  decodeMessage('claimed', payload);
}

/** The other host, where the domain runs, hands it over to this one. */
export async function askSwitchover(other: OtherHost, domain: string, term: number): Promise<void> {
  const versions = [...PROTOCOL_VERSIONS];
  const question = { purpose: 'switchover' as const, versions, domain };
  await askAgent(other, 'switchover', question, term, SWITCHOVER_TIMEOUT_MS);
}
