/** What a run proved, from what was seen: the object that `understudy-chaos --json` prints. Pure. */

import type { AnswerSlice } from './answers.js';
import type { FaultName, Side, Way } from './faults.js';
import type { StateChange } from './state-watch.js';
import type { VoiceReport } from './voices.js';

/** One fault and what became of it. Moments are ISO 8601. */
export interface FaultRecord {
  number: number;
  fault: FaultName;
  on: Side;
  host: string;
  way: Way;
  note: string;
  afterMs: number;
  lastsMs: number;
  injectedAt?: string;
  mendedAt?: string;
  /** From the end of the fault to the first proof that the domain is protected. */
  protectedAgainMs?: number;
  /** Longest time without an answer, from the fault to `protectedAgain`. */
  silenceMs?: number;
  /** Grew when the backup took over. */
  termBefore?: number;
  termAfter?: number;
  ackedWrites?: number;
  lostWrites?: number;
  /** What went wrong; absent when all went well. */
  failure?: { code: string; message: string };
  /** What both hosts said when the domain was not protected again. */
  evidence?: string[];
}

/** Everything that was seen of a run. */
export interface ChaosFacts {
  domain: string;
  /** Absent when a file gave the schedule. */
  seed?: number;
  command: string;
  unsafeFaults: readonly string[];
  hosts: readonly string[];
  startedAt: string;
  endedAt: string;
  /** Faults that the schedule has; fewer records when the run ended early. */
  planned: number;
  records: readonly FaultRecord[];
  /** Undefined without a client. */
  workload:
    | {
        ackedWrites: number;
        lostWrites: number;
        lostConnections: readonly { atMs: number; why: string }[];
      }
    | undefined;
  /** Both only in the laboratory. */
  beacon: { packets: number; forgotten: number } | undefined;
  voices: VoiceReport | undefined;
  /** Growth of the domain’s term from the beginning to the end: promotions. */
  promotions: number;
  /** What could not be mended at the end. */
  unmended: readonly string[];
  stopped: boolean;
  changes: readonly StateChange[];
  slices: readonly AnswerSlice[];
}

export interface ChaosVerdict {
  version: 1;
  ok: boolean;
  /** What of the promise was broken, in words; empty when `ok`. */
  broken: string[];
  domain: string;
  seed?: number;
  command: string;
  unsafeFaults: readonly string[];
  startedAt: string;
  endedAt: string;
  planned: number;
  faults: readonly FaultRecord[];
  protectedAgainMs: { median: number; max: number };
  ackedWrites?: number;
  lostWrites?: number;
  lostConnections?: number;
  beacon?: { packets: number; forgotten: number };
  voices?: VoiceReport;
  promotions: number;
}

export function verdictOf(facts: ChaosFacts): ChaosVerdict {
  const broken = brokenBy(facts);
  const { workload, beacon, voices, seed } = facts;
  return {
    version: 1,
    ok: broken.length === 0,
    broken,
    domain: facts.domain,
    ...(seed === undefined ? {} : { seed }),
    command: facts.command,
    unsafeFaults: facts.unsafeFaults,
    startedAt: facts.startedAt,
    endedAt: facts.endedAt,
    planned: facts.planned,
    faults: facts.records,
    protectedAgainMs: spreadOf(facts.records.flatMap((record) => record.protectedAgainMs ?? [])),
    ...(workload === undefined
      ? {}
      : {
          ackedWrites: workload.ackedWrites,
          lostWrites: workload.lostWrites,
          lostConnections: workload.lostConnections.length,
        }),
    ...(beacon === undefined ? {} : { beacon }),
    ...(voices === undefined ? {} : { voices }),
    promotions: facts.promotions,
  };
}

function brokenBy(facts: ChaosFacts): string[] {
  const { records, workload, beacon, voices, promotions, planned } = facts;
  const failed = records.filter(({ failure }) => failure !== undefined);
  return [
    ...failed.map(({ number, note, failure }) => `fault ${number} (${note}): ${failure?.message}`),
    ...(records.length < planned
      ? [
          `only ${records.length} of ${planned} faults were put in${facts.stopped ? ': stopped' : ''}`,
        ]
      : []),
    ...brokenForClients(workload),
    ...(beacon !== undefined && beacon.packets === 0
      ? ['the guest was never heard: nothing is proven of its packets']
      : []),
    ...count(beacon?.forgotten, 'packets were heard that the guest has forgotten'),
    ...(voices === undefined ? [] : brokenVoices(voices, promotions)),
    ...facts.unmended.map((what) => `not mended: ${what}`),
  ];
}

function brokenForClients(workload: ChaosFacts['workload']): string[] {
  if (workload === undefined) return [];
  return [
    ...(workload.ackedWrites === 0 ? ['no write was ever answered: nothing is proven'] : []),
    ...count(workload.lostWrites, 'answered writes are missing'),
    ...count(workload.lostConnections.length, 'times the client’s connection was lost'),
  ];
}

function brokenVoices(voices: VoiceReport, promotions: number): string[] {
  return [
    ...(voices.heard === 0 ? ['no host was heard: nothing is proven of two instances'] : []),
    ...count(voices.heardOfBoth, 'packets were heard of both hosts'),
    ...count(voices.forgotten, 'packets came from one host that the other had gone beyond'),
    ...(voices.changes > promotions
      ? [`the host that is heard changed ${voices.changes} times in ${promotions} promotions`]
      : []),
    ...(voices.boots > 1 ? [`the guest was started anew ${voices.boots - 1} times`] : []),
  ];
}

function count(number: number | undefined, what: string): string[] {
  return number === undefined || number === 0 ? [] : [`${number} ${what}`];
}

function spreadOf(values: readonly number[]): { median: number; max: number } {
  const sorted = [...values].sort((one, other) => one - other);
  return { median: sorted[Math.floor((sorted.length - 1) / 2)] ?? 0, max: sorted.at(-1) ?? 0 };
}

/** Longest time without an answer between two moments (Date.now()), by slices. */
export function longestSilenceMs(
  slices: readonly AnswerSlice[],
  fromMs: number,
  toMs: number,
): number {
  const heard = slices.map(({ atMs }) => atMs).filter((atMs) => atMs > fromMs && atMs < toMs);
  const moments = [fromMs, ...heard.sort((one, other) => one - other), toMs];
  return moments.slice(1).reduce((longest, atMs, index) => {
    const before = moments[index] ?? fromMs;
    return Math.max(longest, atMs - before);
  }, 0);
}
