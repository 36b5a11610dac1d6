/** Rows and tables of the modes, from what the client saw. Pure. */
import type { EpochReport } from '../../src/agent/primary/epoch-report.js';
import { PHASE_NAMES } from '../../src/epoch/records.js';
import { median, medianOf, type Row, row, type Table } from '../harness.js';
import {
  ADAPTIVE_ADDED_MS_MAX,
  ADAPTIVE_OVER_FIXED50_MAX,
  ADAPTIVE_P99_OVER_FIXED25_MAX,
} from '../limits.js';
import { MODES, type Mode } from './modes.js';
import { percentile } from './percentile.js';
import type { Measured, Turns } from './turns.js';

type Load = 'redis1' | 'redis8';

const US_PER_MS = 1000;
const PROTECTED_MODES = MODES.filter((mode) => mode !== 'unprotected');

export interface LatencyFigures {
  rows: Row[];
  tables: Table[];
}

export function latencyFigures({ turns, hostRoundTripsUs }: Measured): LatencyFigures {
  return { rows: rowsOf(turns, hostRoundTripsUs), tables: tablesOf(turns) };
}

/** Over the echoes of all rounds: one round has too few. */
function pingMs(turns: Turns, mode: Mode, part: number): number {
  return (
    percentile(
      turns[mode].flatMap(({ ping }) => ping),
      part,
    ) / US_PER_MS
  );
}

/** The middle of the rounds. */
function redisMs(turns: Turns, load: Load, mode: Mode, part: number): number {
  return median(redisMsByRound(turns, load, mode, part));
}

function redisMsByRound(turns: Turns, load: Load, mode: Mode, part: number): number[] {
  return turns[mode].map((turn) => percentile(turn[load].latenciesUs, part) / US_PER_MS);
}

function pingAddedMs(turns: Turns, mode: Mode): number {
  return pingMs(turns, mode, 0.5) - pingMs(turns, 'unprotected', 0.5);
}

/** Within a round, whose turns lie close together, and then the median. */
function redis1AddedMs(turns: Turns, mode: Mode): number {
  const plain = redisMsByRound(turns, 'redis1', 'unprotected', 0.5);
  const added = redisMsByRound(turns, 'redis1', mode, 0.5).map(
    (ms, round) => ms - (plain[round] ?? Number.NaN),
  );
  return median(added);
}

/** What no checkpoint can do without: the command that pauses, the pause, and the way to the backup and back. */
function floorMs(turns: Turns, hostRoundTripsUs: readonly number[]): number {
  const pausingUs = medianOf(
    epochsOf(turns, 'adaptive'),
    ({ phases, pause }) => phases.gate.p50 + pause.p50,
  );
  return (pausingUs + median(hostRoundTripsUs)) / US_PER_MS;
}

function epochsOf(turns: Turns, mode: Mode): EpochReport[] {
  return turns[mode].flatMap(({ epochs }) => epochs ?? []);
}

function rowsOf(turns: Turns, hostRoundTripsUs: readonly number[]): Row[] {
  const floor = floorMs(turns, hostRoundTripsUs);
  const overFixed50 = (name: string, addedMs: (turns: Turns, mode: Mode) => number): Row =>
    row({
      name,
      value: addedMs(turns, 'adaptive') / addedMs(turns, 'fixed50'),
      unit: 'x',
      floor: floor / addedMs(turns, 'fixed50'),
      limit: ADAPTIVE_OVER_FIXED50_MAX,
    });
  const p99 = (mode: Mode): number => redisMs(turns, 'redis1', mode, 0.99);
  return [
    overFixed50('ping_adaptive_over_fixed50', pingAddedMs),
    overFixed50('redis1_adaptive_over_fixed50', redis1AddedMs),
    row({
      name: 'redis1_adaptive_p50_added_ms',
      value: redis1AddedMs(turns, 'adaptive'),
      unit: 'ms',
      floor,
      limit: ADAPTIVE_ADDED_MS_MAX,
    }),
    row({
      name: 'redis1_adaptive_p99_over_fixed25_p99',
      value: p99('adaptive') / p99('fixed25'),
      unit: 'x',
      floor: p99('unprotected') / p99('fixed25'),
      limit: ADAPTIVE_P99_OVER_FIXED25_MAX,
    }),
  ];
}

function tablesOf(turns: Turns): Table[] {
  const x = { label: 'mode', values: MODES };
  const redis = (load: Load, part: number): number[] =>
    MODES.map((mode) => redisMs(turns, load, mode, part));
  const ping = (part: number): number[] => MODES.map((mode) => pingMs(turns, mode, part));
  const perSecond = (load: Load): number[] =>
    MODES.map((mode) => medianOf(turns[mode], (turn) => turn[load].perSecond));
  return [
    {
      ...{ name: 'latency-modes', title: 'What a client waits', kind: 'bars', x },
      ...{ y: 'ms', yScale: 'log' },
      series: [
        { name: 'ping p50', values: ping(0.5) },
        { name: 'ping p99', values: ping(0.99) },
        { name: 'Redis, 1 client, p50', values: redis('redis1', 0.5) },
        { name: 'Redis, 1 client, p99', values: redis('redis1', 0.99) },
        { name: 'Redis, 8 clients, p50', values: redis('redis8', 0.5) },
        { name: 'Redis, 8 clients, p99', values: redis('redis8', 0.99) },
      ],
    },
    {
      ...{ name: 'latency-throughput', title: 'What a closed loop gets done', kind: 'bars', x },
      ...{ y: 'commands a second', yScale: 'log' },
      series: [
        { name: 'Redis, 1 client', values: perSecond('redis1') },
        { name: 'Redis, 8 clients', values: perSecond('redis8') },
      ],
    },
    {
      ...{ name: 'latency-download', title: 'A bulk download from Redis', kind: 'bars', x },
      y: 'MB/s',
      series: [
        {
          name: 'one connection, values of 1 MiB',
          values: MODES.map((mode) => medianOf(turns[mode], ({ bulk }) => bulk)),
        },
      ],
    },
    phasesTable(turns),
  ];
}

function phasesTable(turns: Turns): Table {
  const ms = (us: (report: EpochReport) => number): number[] =>
    PROTECTED_MODES.map((mode) => medianOf(epochsOf(turns, mode), us) / US_PER_MS);
  return {
    name: 'latency-phases',
    title: 'Where the time of an epoch goes (p50)',
    kind: 'stacked',
    x: { label: 'mode', values: PROTECTED_MODES },
    y: 'ms',
    series: [
      ...PHASE_NAMES.map((phase) => ({
        name: phase,
        values: ms(({ phases }) => phases[phase].p50),
      })),
      { name: 'from decision to release', values: ms(({ total }) => total.p50), reference: true },
    ],
  };
}
