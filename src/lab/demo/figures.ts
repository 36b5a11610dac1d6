/** The demo's contract: the JSON object that `script/demo --json` prints as its last line. Pure. */
import type { ProtectBody } from '../../agent/client.js';
import type { DomainStatus } from '../../agent/status.js';
import type { Spread } from '../../epoch/records.js';
import type { MachineType } from '../domain-xml.js';
import type { ClientFinal } from './client.js';
import type { Slice } from './conversation.js';

/** When to checkpoint; the agent's defaults where nothing is said. */
export type PolicyChoice = Pick<
  ProtectBody,
  'policy' | 'intervalMs' | 'minIntervalMs' | 'maxIntervalMs' | 'pauseBudget'
>;

export interface DemoOptions {
  memoryMib: number;
  vcpus: number;
  machine: MachineType;
  policy: PolicyChoice;
  durationS: number;
  kill: 'qemu' | 'host';
  /** Planted faults, for the tests that must notice them. */
  faults: readonly string[];
  /** Redis keeps its data on a disk of the guest and answers when it is there (default true). */
  disk?: boolean;
}

/** What was found on the promoted guest's disk after it was stopped in its turn. */
export interface DiskFindings {
  lostWrites: number;
  fsckClean: boolean;
}

export interface DemoFigures {
  scenario: string;
  guest: { memory_mib: number; vcpus: number; machine: string };
  policy: string;
  /** From pause to pause, median. */
  interval_ms: number;
  epochs: number;
  epochs_per_second: number;
  pause_ms: { p50: number; p99: number; max: number };
  dirty_pages: { p50: number; max: number };
  shipped_bytes: number;
  sync: { bytes: number; seconds: number };
  detect_ms: number;
  promote_ms: number;
  outage_ms: number;
  /** From a write to its answer: before protection, under it, and on the new host. */
  latency_ms: Record<'unprotected' | 'protected' | 'after', { p50: number; p99: number }>;
  /** Around the kill; `at_ms` counts from it. */
  around_kill: { at_ms: number; answers: number; slowest_ms: number }[];
  tcp_survived: boolean;
  acked_writes: number;
  lost_writes: number;
  guest_uptime_continued: boolean;
  released_uncommitted_packets: number;
  /** These four only with a disk. Redis answered each write when it was on the disk: all are. */
  disk_acked_writes?: number;
  disk_lost_writes?: number;
  fsck_clean?: boolean;
  disk_epoch_equals_memory_epoch?: boolean;
}

export interface DemoFacts {
  options: DemoOptions;
  /** The primary's last status before the kill. */
  primary: DomainStatus;
  /** From pause to pause, median. */
  apartMs: number;
  backup: DomainStatus;
  syncSeconds: number;
  killedAtMs: number;
  client: ClientFinal;
  disk: DiskFindings | undefined;
}

const rounded = (value: number): number => Math.round(value * 100) / 100;

export function figuresOf(facts: DemoFacts): DemoFigures {
  const { options, primary, backup, client, killedAtMs } = facts;
  const epochs = primary.epochs;
  const pause = epochs?.pauseMs ?? { p50: 0, p99: 0, max: 0 };
  return {
    scenario: 'kill-primary',
    guest: { memory_mib: options.memoryMib, vcpus: options.vcpus, machine: options.machine },
    policy: primary.policy?.name ?? 'unknown',
    interval_ms: rounded(facts.apartMs),
    epochs: epochs?.count ?? 0,
    epochs_per_second: epochs?.perSecond ?? 0,
    pause_ms: { p50: rounded(pause.p50), p99: rounded(pause.p99), max: rounded(pause.max) },
    dirty_pages: { p50: epochs?.dirtyPages.p50 ?? 0, max: epochs?.dirtyPages.max ?? 0 },
    shipped_bytes: epochs?.shippedBytes ?? 0,
    sync: { bytes: primary.sync?.bytesShipped ?? 0, seconds: rounded(facts.syncSeconds) },
    detect_ms: rounded((backup.takeover?.decidedAtMs ?? Number.NaN) - killedAtMs),
    promote_ms: rounded(backup.takeover?.promoteMs ?? Number.NaN),
    outage_ms: rounded(client.gapMs),
    latency_ms: {
      unprotected: latencyOf(client.latency.unprotected),
      protected: latencyOf(client.latency.protected),
      after: latencyOf(client.latency.after),
    },
    around_kill: client.latency.slices.map((slice) => sliceOf(slice, killedAtMs)),
    tcp_survived: client.tcpSurvived && client.sameRedis,
    acked_writes: client.ackedWrites,
    lost_writes: client.lostWrites,
    guest_uptime_continued: client.sameRedis && client.uptimeToMs > client.uptimeFromMs,
    released_uncommitted_packets: client.forgottenBeacons,
    ...(facts.disk === undefined ? {} : diskFigures(facts, facts.disk)),
  };
}

const latencyOf = ({ p50, p99 }: Spread) => ({ p50: rounded(p50), p99: rounded(p99) });

const sliceOf = ({ fromMs, answers, slowestMs }: Slice, killedAtMs: number) => ({
  at_ms: Math.round(fromMs - killedAtMs),
  answers,
  slowest_ms: rounded(slowestMs),
});

function diskFigures({ backup: { takeover }, client }: DemoFacts, disk: DiskFindings) {
  return {
    disk_acked_writes: client.ackedWrites,
    disk_lost_writes: disk.lostWrites,
    fsck_clean: disk.fsckClean,
    disk_epoch_equals_memory_epoch: takeover !== undefined && takeover.diskEpoch === takeover.epoch,
  };
}

/** What the demo promises; false when a figure breaks the promise. */
export function promiseKept(figures: DemoFigures): boolean {
  return (
    figures.tcp_survived &&
    figures.lost_writes === 0 &&
    figures.guest_uptime_continued &&
    figures.released_uncommitted_packets === 0 &&
    // Undefined without a disk, which promises nothing.
    (figures.disk_lost_writes ?? 0) === 0 &&
    figures.fsck_clean !== false &&
    figures.disk_epoch_equals_memory_epoch !== false
  );
}
