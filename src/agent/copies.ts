/**
 * What this host holds of a domain, also when no session runs for it, and how that compares with the other host:
 * after both were down, an operator must know whose disks are newer.
 */
import type { DiskRecords, DisksOnHost } from '../diskmirror/disk-record.js';
import { type Copy, newerCopy } from '../diskmirror/newer-copy.js';
import { findReplicas } from '../diskmirror/replica-files.js';
import { messageOf, UnderstudyError } from '../errors.js';
import type { TermStore } from '../failover/term-store.js';
import { native } from '../native.js';
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
import { type Copies, type DomainStatus, type Reason, reasonOf } from './status.js';

export interface Holdings {
  terms: TermStore;
  disks: DiskRecords;
  replicaDir: string;
  /** For asking other hosts. */
  trust: PeerTrust;
}

/** From durable records alone; nothing is changed. */
async function copyHere(holdings: Holdings, domain: string): Promise<Copy> {
  const { term, ours } = await holdings.terms.read(domain);
  const { state, position } = native.disks.readRecord(holdings.disks.journalDirectory(domain));
  return { term, ours, record: { state, ...(position === undefined ? {} : { position }) } };
}

/** The answer to another host's `report`. */
export async function report(
  holdings: Holdings,
  { domain, disks }: Message<'report'>,
): Promise<Message<'reported'>> {
  const copy = await copyHere(holdings, domain);
  return { ...copy, refusals: await refusals(holdings, domain, disks) };
}

/** Asks another host's agent. @throws WIRE_… */
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

/** The status of a domain that has disks on this host and no session. Undefined when it has none. */
export async function statusWithoutSession(
  holdings: Holdings,
  domain: string,
): Promise<DomainStatus | undefined> {
  const known = await holdings.disks.read(domain);
  if (known === undefined) return undefined;
  const copies = await compareCopies(holdings, known);
  const { here, peer } = copies;
  return {
    domain,
    role: here.ours ? 'primary' : 'backup',
    state: 'unprotected',
    term: here.term,
    peer,
    since: new Date().toISOString(),
    sessionPid: 0,
    disks: known.disks,
    copies,
  };
}

async function compareCopies(
  holdings: Holdings,
  { domain, peer: { host, port } }: DisksOnHost,
): Promise<Copies> {
  const here = await copyHere(holdings, domain);
  const peer = `${host}:${port}`;
  try {
    const { term, ours, record } = await askReport({ host, port }, domain, [], holdings.trust);
    const there = { term, ours, record };
    return { here, there, peer, newer: newerCopy(here, there) };
  } catch (error) {
    return { here, there: { unknown: messageOf(error) }, peer, newer: 'unknown' };
  }
}

/** Why replicas of these disks could not be kept on this host. */
async function refusals(
  { disks: records, replicaDir }: Holdings,
  domain: string,
  disks: readonly CarriedDisk[],
): Promise<Reason[]> {
  try {
    await findReplicas({ domain, disks, replicaDir, known: await records.read(domain) });
    return [];
  } catch (error) {
    if (!(error instanceof UnderstudyError)) throw error;
    return [reasonOf(error)];
  }
}
