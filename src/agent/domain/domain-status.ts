/** The status of a domain, whoever knows it: its session, the durable records, and what the agent is doing by itself. */
import type { Step } from '../../failover/recovery.js';
import type { Host } from '../host.js';
import type { SessionProcess } from '../session/session-process.js';
import type { DomainStatus } from '../status.js';
import { statusWithoutSession } from './copies.js';
import type { DomainRecord } from './domain-record.js';

export interface KnownOfDomain {
  domain: string;
  /** Also one that has ended: its last word. */
  session: SessionProcess | undefined;
  /** The last step of its recovery. */
  step: Step | undefined;
}

/** Undefined when nothing is known of the domain on this host. */
export async function domainStatus(
  host: Host,
  { domain, session, step }: KnownOfDomain,
): Promise<DomainStatus | undefined> {
  const record = await host.records.read(domain);
  const status =
    session === undefined
      ? await fromRecords(host, domain, record)
      : withPause(await session.status(), session, record);
  if (status === undefined) return undefined;
  const takeover = status.takeover ?? record?.takeover;
  return {
    ...status,
    ...(isTelling(step, record) ? { recovery: step } : {}),
    ...(takeover === undefined ? {} : { takeover }),
  };
}

function isTelling(step: Step | undefined, record: DomainRecord | undefined): step is Step {
  return step !== undefined && step.step !== 'rest' && record?.settings.recovery === 'automatic';
}

function withPause(
  status: DomainStatus,
  session: SessionProcess,
  record: DomainRecord | undefined,
): DomainStatus {
  const isPaused = record?.wanted === 'paused' && session.hasEnded;
  return isPaused ? { ...status, state: 'paused' } : status;
}

async function fromRecords(
  host: Host,
  domain: string,
  record: DomainRecord | undefined,
): Promise<DomainStatus | undefined> {
  const known = await statusWithoutSession(host.holdings, domain);
  if (record === undefined) return known;
  const { peer, wanted, settings } = record;
  const { term, ours } = await host.terms.read(domain);
  return {
    ...known,
    domain,
    role: ours ? 'primary' : 'backup',
    state: ours && wanted === 'paused' ? 'paused' : 'unprotected',
    term,
    peer: `${peer.host}:${peer.port}`,
    since: known?.since ?? new Date().toISOString(),
    sessionPid: 0,
    policy: settings.policy,
    consistency: settings.consistency,
  };
}
