import { describe, expect, it } from 'vitest';
import { Conversation } from '../../../src/lab/demo/conversation.js';

describe('a conversation', () => {
  it('knows the longest wait since the mark, and when it was', () => {
    const talk = new Conversation();
    for (const at of [0, 500, 510]) talk.answered(at);
    talk.mark();
    for (const at of [520, 820, 830]) talk.answered(at);
    expect(talk.report()).toEqual({ ackedWrites: 6, gapMs: 300, gapFromMs: 520, gapToMs: 820 });
  });

  it('has no wait before the second answer', () => {
    const talk = new Conversation();
    talk.answered(7);
    expect(talk.report().gapMs).toBe(0);
  });
});
