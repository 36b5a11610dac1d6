/** The status of a primary session, put together from what the session knows. Pure but for the process's number. */
import type { EpochRecords } from '../../epoch/records.js';
import { pathWarnings } from '../session/heartbeat-notes.js';
import type { SessionMachine } from '../session/machine.js';
import type { PrimaryConfig } from '../session/session-config.js';
import { type DomainStatus, type MirrorStatus, summarise } from '../status.js';
import type { PrimaryGuest } from './primary-guest.js';
import type { Protection } from './protection.js';

export interface PrimaryFacts {
  config: PrimaryConfig;
  machine: SessionMachine;
  over: boolean;
  term: number;
  guest: PrimaryGuest | undefined;
  protection: Protection | undefined;
  records: EpochRecords;
  committed: number;
  pauseFailures: number;
  sync: DomainStatus['sync'];
  diskSync: DomainStatus['diskSync'];
  holdTrouble: string | undefined;
}

/** States in which a backup is connected. */
const LINKED: ReadonlySet<string> = new Set([
  'syncing',
  're-protecting',
  'protected',
  'exposed',
  'switching-over',
]);

export function primaryStatus(facts: PrimaryFacts): DomainStatus {
  const { config, machine, guest, protection, records, diskSync, sync, holdTrouble } = facts;
  const { state, since, reason } = machine;
  const heartbeat = LINKED.has(state) ? protection?.heartbeat : undefined;
  const warnings = [...(guest?.warnings ?? []), ...pathWarnings(heartbeat)];
  if (holdTrouble !== undefined) warnings.push(holdTrouble);
  return {
    ...(facts.over ? { over: true as const } : {}),
    domain: config.domain,
    role: 'primary',
    state,
    ...(reason === undefined ? {} : { reason }),
    term: facts.term,
    peer: protection?.peer ?? `${config.backup.host}:${config.backup.port}`,
    since: since.toISOString(),
    sessionPid: process.pid,
    ...(guest === undefined
      ? {}
      : {
          qemuPid: guest.qemuPid,
          pauseMode: guest.pause.mode,
          pauseThrough: guest.pauseThrough,
        }),
    ...(protection === undefined ? {} : { lane: protection.laneIsOpen }),
    policy: config.policy,
    consistency: config.consistency,
    ...(sync === undefined ? {} : { sync }),
    ...(records.epochs === 0
      ? {}
      : { epochs: summarise(records, facts.committed, facts.pauseFailures) }),
    ...(guest === undefined || guest.disks.length === 0
      ? {}
      : { disks: [...guest.disks], mirror: mirrorStatus(guest) }),
    ...(diskSync === undefined ? {} : { diskSync }),
    ...(guest?.holdSummary === undefined ? {} : { hold: guest.holdSummary }),
    ...(heartbeat === undefined ? {} : { heartbeat }),
    ...(warnings.length === 0 ? {} : { warnings }),
  };
}

function mirrorStatus({ mirror }: PrimaryGuest): MirrorStatus {
  const { stats, how, shippedBytes } = mirror;
  return {
    state: stats?.mode ?? 'off',
    how,
    shippedBytes,
    knownBytes: stats?.knownBytes ?? 0,
    logBytes: (stats?.memoryBytes ?? 0) + (stats?.spilledBytes ?? 0),
    rememberedBytes: stats?.rememberedBytes ?? 0,
    backPressureCount: stats?.backPressureCount ?? 0,
    backPressureMs: stats?.backPressureMs ?? 0,
  };
}
