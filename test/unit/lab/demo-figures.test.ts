/** What makes a demo fail: each figure alone, in figures that are otherwise good. */
import { describe, expect, it } from 'vitest';
import type { DomainStatus, Takeover } from '../../../src/agent/status.js';
import type { ClientFinal } from '../../../src/lab/demo/client.js';
import {
  type DemoFacts,
  type DemoOptions,
  figuresOf,
  promiseKept,
  type Turn,
} from '../../../src/lab/demo/figures.js';
import { STAMP_KINDS, type StampCounts, type TakeoverVerdict } from '../../../src/lab/stamp-log.js';

const SPREAD = { p50: 1, p99: 2, max: 3 };
const COUNTS = Object.fromEntries(STAMP_KINDS.map((kind) => [kind, 1])) as unknown as StampCounts;

const options: DemoOptions = {
  scenario: 'partition',
  ...{ memoryMib: 256, vcpus: 1, machine: 'q35' },
  ...{ policy: {}, durationS: 1, kill: 'qemu', faults: [] },
};
const primary: DomainStatus = {
  ...{ domain: 'demo', role: 'primary', state: 'protected', term: 1 },
  ...{ since: '2026-11-22T00:30:00.000Z', sessionPid: 1 },
};
const takeover: Takeover = {
  ...{ cause: 'peerLost', epoch: 7, diskEpoch: 7, term: 2, lastHeardAtMs: 2_900 },
  ...{ decidedAtMs: 3_250, resumedAtMs: 3_300, promoteMs: 50, phasesMs: {}, discardedBytes: 0 },
};
const turn: Turn = {
  ...{ what: 'every path cut', atMs: 3_000, takeover, overAtMs: 3_300 },
  longest: { fromMs: 2_990, toMs: 3_390 },
};
const client: ClientFinal = {
  ...{ ackedWrites: 500, gapMs: 400, gapFromMs: 2_990, gapToMs: 3_390, forgottenBeacons: 0 },
  ...{ uptimeFromMs: 1, uptimeToMs: 2, tcpSurvived: true, lostWrites: 0, sameRedis: true },
  latency: { unprotected: SPREAD, protected: SPREAD, after: SPREAD, slices: [] },
};
const verdict: TakeoverVerdict = {
  ...{ from: 'a', to: 'b', resumedAt: 10, highestOutside: 9, highestKind: 'arp' },
  ...{ highestInside: 12, forgotten: 0, spokeAfter: 0, heldBack: 3, before: COUNTS, after: COUNTS },
};
const heard = { verdicts: [verdict], heardOfBackup: 0 };
const facts: DemoFacts = {
  ...{ options, primary, apartMs: 10, askedAtMs: 1_000, syncSeconds: 1, turns: [turn], client },
  disk: { lostWrites: 0, fsckClean: true },
  states: { a: [{ at_ms: 1, role: 'primary', state: 'protected' }], b: [] },
  expected: { a: ['primary protected'], b: [] },
  heard,
};

const { longest: _, ...unanswered } = turn;

describe('the demo’s figures', () => {
  it('say what came of each fault', () => {
    const figures = figuresOf(facts);
    expect(figures).toMatchObject({
      scenario: 'partition',
      detect_ms: 250,
      promote_ms: 50,
      outage_ms: 400,
      turns: [
        { what: 'every path cut', at_ms: 2_000, detect_ms: 250, promote_ms: 50, wait_ms: 400 },
      ],
      listener: { takeovers: 1, heard_of_two: 0, heard_of_backup: 0, forgotten: 0, held_back: 3 },
      disk_epoch_equals_memory_epoch: true,
      unseen_states: [],
    });
    expect(promiseKept(figures)).toBe(true);
  });

  it('have no time of a promotion where there was none', () => {
    const { takeover: _, ...held } = turn;
    const figures = figuresOf({
      ...facts,
      turns: [{ ...held, noticedAtMs: 3_040, held: true }],
      heard: { ...heard, verdicts: [] },
    });
    expect(figures.turns).toEqual([
      { what: 'every path cut', at_ms: 2_000, detect_ms: 40, wait_ms: 400, held: true },
    ]);
    expect(figures).toMatchObject({ detect_ms: 40, promote_ms: null });
    expect(figures).not.toHaveProperty('disk_epoch_equals_memory_epoch');
    expect(promiseKept(figures)).toBe(true);
  });

  it.each<[string, Partial<DemoFacts>]>([
    ['the connection ended', { client: { ...client, tcpSurvived: false } }],
    ['Redis was started anew', { client: { ...client, sameRedis: false } }],
    ['an answered write is lost', { client: { ...client, lostWrites: 1 } }],
    ['a packet was released too early', { client: { ...client, forgottenBeacons: 1 } }],
    ['the guest’s clock went back', { client: { ...client, uptimeToMs: 0 } }],
    ['the client was not answered any more', { turns: [unanswered] }],
    ['the guest was heard where it must not', { turns: [{ ...turn, held: false }] }],
    [
      'an expected state was not seen',
      { expected: { a: ['primary protected', 'primary fenced'], b: [] } },
    ],
    [
      'two instances were heard',
      { heard: { ...heard, verdicts: [{ ...verdict, spokeAfter: 1 }] } },
    ],
    [
      'the listener knows what the guest forgot',
      { heard: { ...heard, verdicts: [{ ...verdict, forgotten: 1 }] } },
    ],
    ['the listener heard nothing of a takeover', { heard: { ...heard, verdicts: [] } }],
    ['a backup was heard', { heard: { ...heard, heardOfBackup: 1 } }],
    ['an answered write is not on the disk', { disk: { lostWrites: 1, fsckClean: true } }],
    ['the file system is damaged', { disk: { lostWrites: 0, fsckClean: false } }],
    [
      'one takeover had a disk of another epoch',
      {
        turns: [turn, { ...turn, takeover: { ...takeover, diskEpoch: 8 } }],
        heard: { ...heard, verdicts: [verdict, verdict] },
      },
    ],
  ])('break the promise when %s', (_what, bad) => {
    expect(promiseKept(figuresOf({ ...facts, ...bad }))).toBe(false);
  });
});
