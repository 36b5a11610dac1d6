/** What a run proved, by table: each thing that was seen wrong breaks the verdict, and nothing else does. */
import { describe, expect, it } from 'vitest';
import { longestSilenceMs, verdictOf } from '../../../src/chaos/verdict.js';
import { facts, record, STARTED_MS } from './facts.js';

const voices = { heard: 900, changes: 3, heardOfBoth: 0, forgotten: 0, boots: 1 };
const workload = { ackedWrites: 3_000, lostWrites: 0, lostConnections: [] };

describe('the verdict', () => {
  it('is good when nothing was lost and every fault was survived', () => {
    expect(verdictOf(facts())).toMatchObject({
      version: 1,
      ok: true,
      broken: [],
      seed: 7,
      protectedAgainMs: { median: 2_000, max: 3_000 },
      lostWrites: 0,
      promotions: 3,
    });
  });

  it.each([
    [
      'a fault not survived',
      {
        records: [
          record(1),
          record(2, { failure: { code: 'CHAOS_NOT_PROTECTED', message: 'not within 90 s' } }),
          record(3),
        ],
      },
      'fault 2 (1.0 s protected, then primary: QEMU is killed): not within 90 s',
    ],
    ['an early end', { records: [record(1)] }, 'only 1 of 3 faults were put in'],
    ['a stop', { records: [record(1)], stopped: true }, 'only 1 of 3 faults were put in: stopped'],
    ['a lost write', { workload: { ...workload, lostWrites: 2 } }, '2 answered writes are missing'],
    [
      'a lost connection',
      { workload: { ...workload, lostConnections: [{ atMs: 1, why: 'reset' }] } },
      '1 times the client’s connection was lost',
    ],
    [
      'a client that was never answered',
      { workload: { ...workload, ackedWrites: 0 } },
      'no write was ever answered',
    ],
    [
      'a packet of an uncommitted epoch',
      { beacon: { packets: 10, forgotten: 1 } },
      '1 packets were heard that the guest has forgotten',
    ],
    [
      'a guest that nobody heard',
      { beacon: { packets: 0, forgotten: 0 } },
      'the guest was never heard',
    ],
    [
      'two instances',
      { voices: { ...voices, heardOfBoth: 4 } },
      '4 packets were heard of both hosts',
    ],
    [
      'an instance that went back',
      { voices: { ...voices, forgotten: 5 } },
      '5 packets came from one host that the other had gone beyond',
    ],
    [
      'a host that is heard without a promotion',
      { voices: { ...voices, changes: 4 } },
      'changed 4 times in 3 promotions',
    ],
    ['a listener that heard nothing', { voices: { ...voices, heard: 0 } }, 'no host was heard'],
    ['a guest that was started anew', { voices: { ...voices, boots: 2 } }, 'started anew 1 times'],
    [
      'a link that is still cut',
      { unmended: ['links of host b: no route'] },
      'not mended: links of host b',
    ],
  ])('is bad after %s', (_, more, why) => {
    const { ok, broken } = verdictOf(facts(more));
    expect({ ok, broken }).toEqual({ ok: false, broken: [expect.stringContaining(why)] });
  });

  it('says nothing of what nobody looked at', () => {
    const verdict = verdictOf(facts({ workload: undefined, beacon: undefined, voices: undefined }));
    expect(verdict.ok).toBe(true);
    expect(Object.keys(verdict)).not.toEqual(
      expect.arrayContaining(['lostWrites', 'beacon', 'voices']),
    );
  });
});

describe('the longest silence', () => {
  const slices = [0, 250, 500, 4_000, 4_250].map((ms) => ({
    atMs: STARTED_MS + ms,
    answers: 1,
    slowestMs: 1,
  }));

  it.each([
    [0, 5_000, 3_500],
    [0, 3_000, 2_500],
    [4_000, 4_500, 250],
    [10_000, 12_000, 2_000],
  ])('from %i to %i is %i', (from, to, silence) => {
    expect(longestSilenceMs(slices, STARTED_MS + from, STARTED_MS + to)).toBe(silence);
  });
});
