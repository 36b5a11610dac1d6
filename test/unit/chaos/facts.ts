/** Facts of a run in which all went well. */
import type { ChaosFacts, FaultRecord } from '../../../src/chaos/verdict.js';

export const STARTED_MS = Date.parse('2026-03-01T12:00:00.000Z');
const at = (ms: number): string => new Date(STARTED_MS + ms).toISOString();

export function record(number: number, more: Partial<FaultRecord> = {}): FaultRecord {
  return {
    number,
    fault: 'kill-qemu',
    on: 'primary',
    host: 'a',
    way: 'both',
    note: '1.0 s protected, then primary: QEMU is killed',
    afterMs: 1_000,
    lastsMs: 0,
    injectedAt: at(number * 10_000),
    mendedAt: at(number * 10_000 + 20),
    protectedAgainMs: number * 1_000,
    silenceMs: 400,
    termBefore: number,
    termAfter: number + 1,
    ackedWrites: 1_000 * number,
    lostWrites: 0,
    ...more,
  };
}

export function facts(more: Partial<ChaosFacts> = {}): ChaosFacts {
  return {
    domain: 'vm1',
    seed: 7,
    command: 'understudy-chaos --lab --seed 7 --faults 3',
    unsafeFaults: [],
    hosts: ['a', 'b'],
    startedAt: at(0),
    endedAt: at(45_000),
    planned: 3,
    records: [record(1), record(2), record(3)],
    workload: { ackedWrites: 3_000, lostWrites: 0, lostConnections: [] },
    beacon: { packets: 9_000, forgotten: 0 },
    voices: { heard: 900, changes: 3, heardOfBoth: 0, forgotten: 0, boots: 1 },
    promotions: 3,
    unmended: [],
    stopped: false,
    changes: [
      { atMs: STARTED_MS, host: 'a', state: 'primary protected' },
      { atMs: STARTED_MS, host: 'b', state: 'backup protected' },
      { atMs: STARTED_MS + 10_100, host: 'a', state: 'primary fenced', code: 'AGENT_GUEST_DIED' },
      { atMs: STARTED_MS + 10_120, host: 'b', state: 'backup promoted' },
      { atMs: STARTED_MS + 11_000, host: 'a', state: 'no answer' },
    ],
    slices: Array.from({ length: 180 }, (_, index) => ({
      atMs: STARTED_MS + index * 250,
      answers: 20,
      slowestMs: 12 + (index % 7),
    })),
    ...more,
  };
}
