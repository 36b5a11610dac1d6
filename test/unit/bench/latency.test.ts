import { describe, expect, it } from 'vitest';
import { parseBulk, parseClosedLoop, parseSpin } from '../../../bench/latency/client-lines.js';
import { latencyFigures } from '../../../bench/latency/figures.js';
import { isIn, MODES, type Mode, PROTECTIONS } from '../../../bench/latency/modes.js';
import { percentile } from '../../../bench/latency/percentile.js';
import type { Turn, Turns } from '../../../bench/latency/turns.js';
import { epochReport } from '../../../src/agent/primary/epoch-report.js';
import type { DomainStatus } from '../../../src/agent/status.js';
import { EpochRecords, PHASE_NAMES, type Phase } from '../../../src/epoch/records.js';

describe('a percentile', () => {
  const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);

  it.each([
    [hundred, 0.5, 50],
    [hundred, 0.99, 99],
    [hundred, 1, 100],
    [[7], 0.99, 7],
    [[30, 4, 200], 0.5, 30],
  ])('is the nearest rank (%#)', (values, part, expected) => {
    expect(percentile(values, part)).toBe(expected);
  });

  it('of nothing is an error, not a figure', () => {
    expect(() => percentile([], 0.5)).toThrow(
      expect.objectContaining({ code: 'BENCH_NOTHING_MEASURED' }),
    );
  });
});

describe('what the client prints', () => {
  it('is the rate, and every latency', () => {
    expect(parseClosedLoop('6 2\n100.5\n99.0\n1203.1\n')).toEqual({
      perSecond: 3,
      latenciesUs: [100.5, 99, 1203.1],
    });
  });

  it('is bytes by seconds of a download, in MB/s', () => {
    expect(parseBulk('50000000 0.500000\n')).toBe(100);
  });

  it('is the time of work by both clocks', () => {
    expect(parseSpin('3.25 600 3.1 0\n')).toEqual({ seconds: 3.25, guestSeconds: 3.1 });
  });

  it.each(['0.001 error: wants ROUNDS\n', ''])('is nothing when it is "%s"', (text) => {
    expect(() => parseSpin(text)).toThrow(
      expect.objectContaining({ code: 'BENCH_PROGRAM_FAILED' }),
    );
  });
});

describe('a mode', () => {
  const status = (changed: Partial<DomainStatus>) =>
    ({
      state: 'protected',
      policy: { name: 'fixed', intervalMs: 25 },
      consistency: 'strong',
      ...changed,
    }) as DomainStatus;

  it.each([
    ['what was asked for', {}, true],
    ['another interval', { policy: { name: 'fixed', intervalMs: 50 } as const }, false],
    [
      'another policy',
      {
        policy: { name: 'adaptive', minIntervalMs: 2, maxIntervalMs: 25, pauseBudget: 1 } as const,
      },
      false,
    ],
    ['output that is not held', { consistency: 'timeline' as const }, false],
    ['no protection yet', { state: 'syncing' as const }, false],
  ])('is told from a status that says %s', (_, changed, expected) => {
    expect(isIn(PROTECTIONS.fixed25, status(changed))).toBe(expected);
  });
});

/** Pauses of 1 ms, gates of 0.5 ms. */
function epochs() {
  const records = new EpochRecords();
  const phasesUs = Object.fromEntries(PHASE_NAMES.map((name) => [name, 100])) as Record<
    Phase,
    number
  >;
  records.add({
    ...{ epoch: 1, pausedAtMs: 0, pauseUs: 1000, waitedUs: undefined, totalUs: 3000 },
    phasesUs: { ...phasesUs, gate: 500 },
    ...{ dirtyPages: 1, dataPages: 1, zeroPages: 0, unchangedPages: 0 },
    ...{ shippedBytes: 1, releasedPackets: 1, shippedPaused: false },
  });
  return epochReport('guest', records, 1);
}

function turn(ms: number, mode: Mode): Turn {
  const loop = { perSecond: 1000 / ms, latenciesUs: [ms * 1000] };
  const turn = { ping: [ms * 1000], redis1: loop, redis8: loop, bulk: 1 };
  return mode === 'unprotected' ? turn : { ...turn, epochs: epochs() };
}

/** One turn a round of each mode, in which everything takes so many ms. */
function turnsOf(ms: Record<Mode, readonly number[]>): Turns {
  const entries = MODES.map((mode) => [mode, ms[mode].map((one) => turn(one, mode))]);
  return Object.fromEntries(entries) as Turns;
}

describe('the figures of latency', () => {
  const turns = turnsOf({
    // The machine is slower in the last round, for all alike.
    unprotected: [1, 1, 5],
    fixed100: [101, 101, 105],
    fixed50: [51, 51, 55],
    fixed25: [26, 26, 30],
    adaptive: [6, 6, 10],
    timeline: [1, 1, 5],
  });
  const { rows, tables } = latencyFigures({ turns, hostRoundTripsUs: [500, 500, 900] });

  it('are what a mode adds to the same guest without protection, in the same round', () => {
    expect(rows.map(({ name, value, unit }) => [name, value, unit])).toEqual([
      ['ping_adaptive_over_fixed50', 0.1, 'x'],
      ['redis1_adaptive_over_fixed50', 0.1, 'x'],
      ['redis1_adaptive_p50_added_ms', 5, 'ms'],
      ['redis1_adaptive_p99_over_fixed25_p99', 6 / 26, 'x'],
    ]);
  });

  it('have a gate, a pause and a round trip between the hosts as their floor', () => {
    expect(rows.map(({ floor }) => floor)).toEqual([2 / 50, 2 / 50, 2, 1 / 26]);
  });

  it('hold a value of every mode in every table', () => {
    for (const { x, series } of tables) {
      expect(x.values).toEqual(expect.arrayContaining(['adaptive', 'timeline']));
      for (const { values } of series) {
        expect(values).toHaveLength(x.values.length);
        expect(values.every(Number.isFinite)).toBe(true);
      }
    }
  });

  it('show every phase of an epoch', () => {
    const stacked = tables.find(({ kind }) => kind === 'stacked');
    const measured = stacked?.series.filter(({ reference }) => reference !== true);
    expect(measured?.map(({ name }) => name)).toEqual(PHASE_NAMES);
    expect(measured?.find(({ name }) => name === 'gate')?.values).toEqual(Array(5).fill(0.5));
  });
});
