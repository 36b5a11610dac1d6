import { describe, expect, it } from 'vitest';
import { Conversation } from '../../../src/lab/demo/conversation.js';

describe('a conversation', () => {
  it('knows the longest wait since the mark, and when it was', () => {
    const talk = new Conversation();
    for (const at of [0, 500, 510]) talk.answered(at, 1);
    talk.mark();
    for (const at of [520, 820, 830]) talk.answered(at, 1);
    expect(talk.report()).toEqual({ ackedWrites: 6, gapMs: 300, gapFromMs: 520, gapToMs: 820 });
  });

  it.each([
    [0, 2_000, { fromMs: 0, toMs: 500 }],
    // One that began before and ended in that time counts.
    [920, 1_300, { fromMs: 920, toMs: 1_220 }],
    [600, 915, { fromMs: 510, toMs: 910 }],
    [10, 500, { fromMs: 0, toMs: 500 }],
    [1_300, 2_000, { fromMs: 1_300, toMs: 1_300 }],
  ])('knows the longest wait that ended between %i and %i', (fromMs, toMs, wait) => {
    const talk = new Conversation();
    for (const at of [0, 500, 510, 910, 920, 1_220]) talk.answered(at, 1);
    expect(talk.longestWait(fromMs, toMs)).toEqual(wait);
  });

  it('has no wait before the second answer', () => {
    const talk = new Conversation();
    talk.answered(7, 1);
    expect(talk.report().gapMs).toBe(0);
  });

  it('knows how long answers took, in a time and slice by slice', () => {
    const talk = new Conversation();
    for (const [at, latency] of [
      [10, 1],
      [20, 3],
      [70, 9],
      [160, 2],
    ] as const) {
      talk.answered(at, latency);
    }
    expect(talk.latency(0, 100)).toEqual({ p50: 3, p99: 9, max: 9 });
    expect(talk.slices(0, 200)).toEqual([
      { fromMs: 0, answers: 2, slowestMs: 3 },
      { fromMs: 50, answers: 1, slowestMs: 9 },
      { fromMs: 100, answers: 0, slowestMs: 0 },
      { fromMs: 150, answers: 1, slowestMs: 2 },
    ]);
  });
});
