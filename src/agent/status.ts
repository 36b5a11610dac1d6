/** The documented shape of a domain's status: what `understudy status --json` prints per domain. */
import { monotonicMs } from '../clock.js';
import type { Copy } from '../diskmirror/newer-copy.js';
import type { PolicyOptions } from '../epoch/policy.js';
import { type EpochRecord, type EpochRecords, type Spread, spreadOf } from '../epoch/records.js';
import type { SyncProgress } from '../epoch/sync.js';
import { UnderstudyError } from '../errors.js';
import type { HeartbeatSummary } from '../failover/heartbeat-paths.js';
import type { Step } from '../failover/recovery.js';
import type { Role, State } from '../failover/states.js';
import { PAGE_BYTES } from '../hypervisor/limits.js';
import type { Consistency } from '../wire/messages.js';

export interface Reason {
  code: string;
  message: string;
  remedy: string;
}

export interface EpochSummary {
  /** Newest epoch that the backup acknowledged (primary) or that is committed here (backup). */
  committed: number;
  count: number;
  perSecond: number;
  pauseMs: Spread;
  dirtyPages: Spread;
  shippedBytes: number;
  /** Epochs shipped with the guest paused because staging was too small. */
  shippedPaused: number;
  pauseFailures: number;
  recent: RecentEpochs;
}

/** How it is now: epochs of the last two seconds. */
export interface RecentEpochs {
  pauseMs: Spread;
  /** From an epoch’s first held packet to its release; of epochs that output waited in. */
  latencyMs: Spread;
  dirtyBytesPerSecond: number;
  shippedBytesPerSecond: number;
  /** Age of the newest committed checkpoint: what a takeover would go back. */
  lagMs: number;
}

export interface HoldSummary {
  backend: string;
  heldPackets: number;
  heldBytes: number;
  releasedPackets: number;
  overflowPackets: number;
  droppedPackets: number;
}

export interface ReplicaSummary {
  committedEpoch: number;
  /** Newest epoch that is written into the standby's memory. */
  appliedEpoch: number;
  syncBytes: number;
  disks?: ReplicaDisksSummary;
}

export interface ReplicaDisksSummary {
  /** Newest epoch that the disks hold durably; epochs without a write are noted once a second. */
  recordedEpoch: number;
  receivedBytes: number;
}

/** A disk that is carried; `path` is on this host. */
export interface DiskStatus {
  name: string;
  bytes: number;
  path: string;
  format: string;
}

/** The first copy or repair of the replica’s disks. */
export interface DiskSyncStatus {
  /** `copy`: all but zeroes travels. `compare`: what differs. `replay`: what changed while the backup was away. */
  how: 'copy' | 'compare' | 'replay';
  doneBytes: number;
  totalBytes: number;
  bytesPerSecond: number;
  bytesShipped: number;
}

export interface MirrorStatus {
  /** `remembering`: there is no backup; what it misses is kept on this host. */
  state: 'off' | 'forgetting' | 'shipping' | 'remembering';
  how: DiskSyncStatus['how'];
  /** Since the last copy, repair or replay began; all of its writes included. */
  shippedBytes: number;
  /** Left out because the replica held the same. */
  knownBytes: number;
  /** Waiting for their way to the backup. */
  logBytes: number;
  rememberedBytes: number;
  /** How often and how long in all the guest’s writes had to wait for room in the log. */
  backPressureCount: number;
  backPressureMs: number;
}

export interface Copies {
  here: Copy;
  /** The other host’s, or why it is not known. */
  there: Copy | { unknown: string };
  peer: string;
  /** Whose disks are newer; `unknown` while the other host cannot be asked. */
  newer: 'here' | 'there' | 'same' | 'unknown';
}

/** Moments are CLOCK_MONOTONIC milliseconds of the host, comparable within one machine. */
export interface Takeover {
  cause: string;
  epoch: number;
  /** The epoch that the disks held when the guest resumed; absent without disks. */
  diskEpoch?: number;
  term: number;
  lastHeardAtMs: number;
  decidedAtMs: number;
  resumedAtMs: number;
  /** From the decision to the resumed guest. */
  promoteMs: number;
  phasesMs: Record<string, number>;
  discardedBytes: number;
}

export interface DomainStatus {
  domain: string;
  role: Role;
  state: State;
  /** Why, when the state is not what the operator asked for. */
  reason?: Reason;
  term: number;
  peer?: string;
  /** ISO 8601, of the last change of state. */
  since: string;
  sessionPid: number;
  /** The session has nothing more to do and its process is about to end. */
  over?: true;
  /** QEMU of the domain or of the standby on this host. */
  qemuPid?: number;
  policy?: PolicyOptions;
  /** What clients may rely on across a takeover. */
  consistency?: Consistency;
  pauseMode?: 'gate' | 'stopped';
  /** Whose monitor the command of a pause goes through. */
  pauseThrough?: 'libvirt' | 'own-monitor';
  /** Small epochs go to the backup by the lane. */
  lane?: boolean;
  sync?: SyncProgress & { bytesPerSecond: number; pauseMsMax?: number };
  epochs?: EpochSummary;
  disks?: DiskStatus[];
  diskSync?: DiskSyncStatus;
  mirror?: MirrorStatus;
  hold?: HoldSummary;
  heartbeat?: HeartbeatSummary;
  replica?: ReplicaSummary;
  takeover?: Takeover;
  /** What the agent is doing about the domain by itself. */
  recovery?: Step;
  /** Only of a domain without a session: who has the newer disks. */
  copies?: Copies;
  warnings?: string[];
}

/** A domain of this host without a word of ours about it. */
export interface KnownDomain {
  domain: string;
  running: boolean;
}

export function reasonOf(error: unknown): Reason {
  if (error instanceof UnderstudyError) {
    return { code: error.code, message: error.message, remedy: error.remedy };
  }
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { code: 'INTERNAL', message, remedy: 'This is a bug: report it with the log.' };
}

/** Epochs of the last seconds that `perSecond` is made of. */
const RATE_WINDOW_MS = 2_000;

const inMs = ({ p50, p99, max }: Spread): Spread => ({
  p50: p50 / 1000,
  p99: p99 / 1000,
  max: max / 1000,
});

export function summarise(
  records: EpochRecords,
  committed: number,
  pauseFailures: number,
): EpochSummary {
  const nowMs = monotonicMs();
  const recent = records.last(1000);
  const inWindow = recent.filter((record) => record.pausedAtMs > nowMs - RATE_WINDOW_MS);
  return {
    committed,
    count: records.epochs,
    perSecond: Math.round((inWindow.length * 10_000) / RATE_WINDOW_MS) / 10,
    pauseMs: inMs(records.spread((record) => record.pauseUs)),
    dirtyPages: records.spread((record) => record.dirtyPages),
    shippedBytes: records.shippedBytes,
    shippedPaused: records.shippedPausedEpochs,
    pauseFailures,
    recent: recentOf(inWindow, nowMs - (recent.at(-1)?.pausedAtMs ?? nowMs)),
  };
}

function recentOf(epochs: readonly EpochRecord[], lagMs: number): RecentEpochs {
  const perSecond = (value: (record: EpochRecord) => number): number =>
    Math.round((epochs.reduce((sum, one) => sum + value(one), 0) * 1000) / RATE_WINDOW_MS);
  const latencies = epochs.flatMap(({ waitedUs, totalUs }) =>
    waitedUs === undefined ? [] : [waitedUs + totalUs],
  );
  return {
    pauseMs: inMs(spreadOf(epochs.map(({ pauseUs }) => pauseUs))),
    latencyMs: inMs(spreadOf(latencies)),
    dirtyBytesPerSecond: perSecond(({ dirtyPages }) => dirtyPages * PAGE_BYTES),
    shippedBytesPerSecond: perSecond(({ shippedBytes }) => shippedBytes),
    lagMs: Math.round(lagMs * 10) / 10,
  };
}
