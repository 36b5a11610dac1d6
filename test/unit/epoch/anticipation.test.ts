import { describe, expect, it } from 'vitest';
import { Anticipation } from '../../../src/epoch/anticipation.js';
import { ANTICIPATION_MEAN_OVER, ANTICIPATION_RETRY_EPOCHS } from '../../../src/epoch/limits.js';

function learn(anticipation: Anticipation, answered: boolean, times: number): void {
  for (let time = 0; time < times; time += 1) anticipation.learn(answered);
}

describe('anticipation', () => {
  it('is worthwhile from the start, and as long as nearly all questions are answered', () => {
    const anticipation = new Anticipation();
    for (let epoch = 0; epoch < 100; epoch += 1) {
      expect(anticipation.isWorthwhile()).toBe(true);
      anticipation.learn(epoch % 8 !== 0);
    }
  });

  it('ends within a few checkpoints that were for nothing', () => {
    const anticipation = new Anticipation();
    learn(anticipation, false, 3);
    expect(anticipation.isWorthwhile()).toBe(false);
  });

  it('is tried again once in a while, and taken up when answers come', () => {
    const anticipation = new Anticipation();
    learn(anticipation, false, 10 * ANTICIPATION_MEAN_OVER);
    const tried = Array.from({ length: 3 * ANTICIPATION_RETRY_EPOCHS }, () =>
      anticipation.isWorthwhile(),
    );
    expect(tried.filter(Boolean)).toHaveLength(3);
    learn(anticipation, true, 2 * ANTICIPATION_MEAN_OVER);
    expect(anticipation.isWorthwhile()).toBe(true);
  });
});
