/**
 * What this host holds of a domain, also when no session runs for it, and how that compares with the other host:
 * after both were down, an operator must know whose disks are newer.
 */
import type { DiskRecords, DisksOnHost } from '../../diskmirror/disk-record.js';
import { type Copy, newerCopy } from '../../diskmirror/newer-copy.js';
import { findReplicas } from '../../diskmirror/replica-files.js';
import { messageOf, UnderstudyError } from '../../errors.js';
import type { TermStore } from '../../failover/term-store.js';
import { native } from '../../native.js';
import type { CarriedDisk, Message } from '../../wire/messages.js';
import type { PeerTrust } from '../../wire/trust.js';
import { type Copies, type DomainStatus, type Reason, reasonOf } from '../status.js';
import { askReport } from './report-request.js';

export interface Holdings {
  terms: TermStore;
  disks: DiskRecords;
  replicaDir: string;
  /** For asking other hosts. */
  trust: PeerTrust;
}

/** What lives of a domain on this host, as another host needs to know it. */
export interface SessionsHere {
  /** A standby has a committed checkpoint, or is being promoted. */
  mayTakeOver: boolean;
  /** This host took its term for a promotion that is under way, or that nobody saw the end of. */
  undecided: boolean;
  /** No session of the domain lives here. */
  free: boolean;
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
  life: SessionsHere,
): Promise<Message<'reported'>> {
  const copy = await copyHere(holdings, domain);
  const { mayTakeOver, undecided, free } = life;
  return {
    ...copy,
    mayTakeOver,
    undecided,
    free,
    refusals: await refusals(holdings, domain, disks),
  };
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
