/** The demo's contract: the JSON object that `script/demo --json` prints as its last line. Pure. */
import type { ProtectBody } from '../../agent/control/client.js';
import type { DomainStatus, Takeover } from '../../agent/status.js';
import type { Spread } from '../../epoch/records.js';
import type { MachineType } from '../domain-xml.js';
import type { TakeoverVerdict } from '../stamp-log.js';
import type { ClientFinal } from './client.js';
import type { Slice, Wait } from './conversation.js';
import type { ScenarioName } from './scenario-names.js';
import { type ExpectedStates, type StatesSeen, unseenStates } from './states-seen.js';

/** When to checkpoint; the agent's defaults where nothing is said. */
export type PolicyChoice = Pick<
  ProtectBody,
  'policy' | 'intervalMs' | 'minIntervalMs' | 'maxIntervalMs' | 'pauseBudget'
>;

export interface DemoOptions {
  /** Default: kill-primary. */
  scenario?: ScenarioName;
  memoryMib: number;
  vcpus: number;
  machine: MachineType;
  policy: PolicyChoice;
  durationS: number;
  /** Heartbeats missed on every path before a takeover (default: the product’s). */
  heartbeatMissed?: number | undefined;
  kill: 'qemu' | 'host';
  /** Planted faults, for the tests that must notice them. */
  faults: readonly string[];
  /** Redis keeps its data on a disk of the guest and answers when it is there (default true). */
  disk?: boolean;
}

/** One fault and what came of it. Moments are CLOCK_MONOTONIC ms. */
export interface Turn {
  what: string;
  atMs: number;
  /** Where nobody took over: when a host noticed. */
  noticedAtMs?: number;
  takeover?: Takeover;
  /** From then on the client can be answered. */
  overAtMs: number;
  /** The client's longest time without an answer; absent when no answer came any more. */
  longest?: Wait;
  /** Where the guest must not be heard for a while: it was not. */
  held?: boolean;
}

/** What was found on the promoted guest's disk after it was stopped in its turn. */
export interface DiskFindings {
  lostWrites: number;
  fsckClean: boolean;
}

export interface DemoFigures {
  scenario: ScenarioName;
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
  /** Of the first turn that has them; null where none has. */
  detect_ms: number | null;
  promote_ms: number | null;
  outage_ms: number;
  /** From a write to its answer: before protection, under it, and where the guest is in the end. */
  latency_ms: Record<'unprotected' | 'protected' | 'after', { p50: number; p99: number }>;
  /** Around the first fault; `at_ms` counts from it. */
  around_kill: { at_ms: number; answers: number; slowest_ms: number }[];
  tcp_survived: boolean;
  acked_writes: number;
  lost_writes: number;
  guest_uptime_continued: boolean;
  released_uncommitted_packets: number;
  turns: TurnFigures[];
  /** Of each host, in their order. */
  states: StatesSeen;
  /** The first expected state of each host that was not seen in its turn. */
  unseen_states: string[];
  /** Only where somebody listens for two instances at once. */
  listener?: ListenerFigures;
  /** These four only with a disk. Redis answered each write when it was on the disk: all are. */
  disk_acked_writes?: number;
  disk_lost_writes?: number;
  fsck_clean?: boolean;
  disk_epoch_equals_memory_epoch?: boolean;
}

/** One fault and what came of it. `at_ms` counts from the demo's asking for protection. */
export interface TurnFigures {
  what: string;
  at_ms: number;
  /** Until a host decided to take over or, where none did, noticed; absent where none did. */
  detect_ms?: number;
  /** Absent where nobody took over. */
  promote_ms?: number;
  /** The client's longest time without an answer; null when it was never answered again. */
  wait_ms: number | null;
  /** Only where the guest must not be heard for a while: it was not. */
  held?: boolean;
}

/** What came out of both hosts' cables, over all takeovers of the scenario. */
export interface ListenerFigures {
  takeovers: number;
  /** Packets of the old instance after the first of the new one: must be 0. */
  heard_of_two: number;
  /** Packets of a host that was the backup all the time: must be 0. */
  heard_of_backup: number;
  /** Packets that the outside heard and the guest has forgotten: must be 0. */
  forgotten: number;
  /** Packets of the old instances that nobody ever heard. */
  held_back: number;
}

export interface DemoFacts {
  options: DemoOptions;
  /** The primary's last status before the kill. */
  primary: DomainStatus;
  /** From pause to pause, median. */
  apartMs: number;
  askedAtMs: number;
  syncSeconds: number;
  turns: readonly Turn[];
  client: ClientFinal;
  disk: DiskFindings | undefined;
  states: StatesSeen;
  expected: ExpectedStates;
  /** Undefined when nobody listened. */
  heard: { verdicts: readonly TakeoverVerdict[]; heardOfBackup: number } | undefined;
}

const rounded = (value: number): number => Math.round(value * 100) / 100;

export function figuresOf(facts: DemoFacts): DemoFigures {
  const { options, primary, client, states } = facts;
  const turns = facts.turns.map((turn) => turnFigures(turn, facts.askedAtMs));
  const firstAtMs = facts.turns[0]?.atMs ?? Number.NaN;
  const epochs = primary.epochs;
  const pause = epochs?.pauseMs ?? { p50: 0, p99: 0, max: 0 };
  return {
    scenario: options.scenario ?? 'kill-primary',
    guest: { memory_mib: options.memoryMib, vcpus: options.vcpus, machine: options.machine },
    policy: primary.policy?.name ?? 'unknown',
    interval_ms: rounded(facts.apartMs),
    epochs: epochs?.count ?? 0,
    epochs_per_second: epochs?.perSecond ?? 0,
    pause_ms: { p50: rounded(pause.p50), p99: rounded(pause.p99), max: rounded(pause.max) },
    dirty_pages: { p50: epochs?.dirtyPages.p50 ?? 0, max: epochs?.dirtyPages.max ?? 0 },
    shipped_bytes: epochs?.shippedBytes ?? 0,
    sync: { bytes: primary.sync?.bytesShipped ?? 0, seconds: rounded(facts.syncSeconds) },
    detect_ms: firstOf(turns, 'detect_ms'),
    promote_ms: firstOf(turns, 'promote_ms'),
    outage_ms: rounded(client.gapMs),
    latency_ms: {
      unprotected: latencyOf(client.latency.unprotected),
      protected: latencyOf(client.latency.protected),
      after: latencyOf(client.latency.after),
    },
    around_kill: client.latency.slices.map((slice) => sliceOf(slice, firstAtMs)),
    tcp_survived: client.tcpSurvived && client.sameRedis,
    acked_writes: client.ackedWrites,
    lost_writes: client.lostWrites,
    guest_uptime_continued: client.sameRedis && client.uptimeToMs > client.uptimeFromMs,
    released_uncommitted_packets: client.forgottenBeacons,
    turns,
    states,
    unseen_states: unseenStates(states, facts.expected),
    ...(facts.heard === undefined ? {} : { listener: listenerFigures(facts.heard) }),
    ...(facts.disk === undefined ? {} : diskFigures(facts, facts.disk)),
  };
}

const latencyOf = ({ p50, p99 }: Spread) => ({ p50: rounded(p50), p99: rounded(p99) });

const sliceOf = ({ fromMs, answers, slowestMs }: Slice, killedAtMs: number) => ({
  at_ms: Math.round(fromMs - killedAtMs),
  answers,
  slowest_ms: rounded(slowestMs),
});

function firstOf(turns: readonly TurnFigures[], name: 'detect_ms' | 'promote_ms'): number | null {
  return turns.find((turn) => turn[name] !== undefined)?.[name] ?? null;
}

function turnFigures(turn: Turn, askedAtMs: number): TurnFigures {
  const { what, atMs, takeover, longest, held } = turn;
  const detectedAtMs = takeover?.decidedAtMs ?? turn.noticedAtMs;
  return {
    what,
    at_ms: Math.round(atMs - askedAtMs),
    ...(detectedAtMs === undefined ? {} : { detect_ms: rounded(detectedAtMs - atMs) }),
    ...(takeover === undefined ? {} : { promote_ms: rounded(takeover.promoteMs) }),
    wait_ms: longest === undefined ? null : rounded(longest.toMs - longest.fromMs),
    ...(held === undefined ? {} : { held }),
  };
}

function listenerFigures({
  verdicts,
  heardOfBackup,
}: NonNullable<DemoFacts['heard']>): ListenerFigures {
  const sum = (of: (verdict: TakeoverVerdict) => number): number =>
    verdicts.reduce((total, verdict) => total + of(verdict), 0);
  return {
    takeovers: verdicts.length,
    heard_of_two: sum(({ spokeAfter }) => spokeAfter),
    heard_of_backup: heardOfBackup,
    forgotten: sum(({ forgotten }) => forgotten),
    held_back: sum(({ heldBack }) => heldBack),
  };
}

function diskFigures({ turns, client }: DemoFacts, disk: DiskFindings) {
  const takeovers = turns.flatMap(({ takeover }) => takeover ?? []);
  return {
    disk_acked_writes: client.ackedWrites,
    disk_lost_writes: disk.lostWrites,
    fsck_clean: disk.fsckClean,
    // Nobody took over where the backup died.
    ...(takeovers.length === 0
      ? {}
      : {
          disk_epoch_equals_memory_epoch: takeovers.every(
            ({ epoch, diskEpoch }) => diskEpoch === epoch,
          ),
        }),
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
    figures.disk_epoch_equals_memory_epoch !== false &&
    figures.unseen_states.length === 0 &&
    figures.turns.every(({ wait_ms: waitMs, held }) => waitMs !== null && held !== false) &&
    listenerHeardOne(figures)
  );
}

/** A listener that did not hear each turn's takeover has proven nothing. */
function listenerHeardOne({ listener, turns }: DemoFigures): boolean {
  if (listener === undefined) return true;
  const { takeovers, heard_of_two: ofTwo, heard_of_backup: ofBackup, forgotten } = listener;
  const expected = turns.filter(({ promote_ms: promoteMs }) => promoteMs !== undefined).length;
  return takeovers === expected && ofTwo === 0 && ofBackup === 0 && forgotten === 0;
}
