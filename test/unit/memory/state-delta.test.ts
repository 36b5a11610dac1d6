import { describe, expect, it } from 'vitest';
import { native } from '../../../src/native.js';
import { Random } from '../output-commit/random.js';

const { stateDelta, applyStateDelta } = native.memory;

describe('the difference of two device states', () => {
  it('brings one from the other, and is small where they are alike', () => {
    const random = new Random(1);
    for (let round = 0; round < 500; round += 1) {
      const base = Buffer.from(
        Array.from({ length: random.integer(1, 3_000) }, () => random.integer(0, 255)),
      );
      const state = Buffer.from(base);
      for (let change = random.integer(0, 6); change > 0; change -= 1) {
        state.writeUInt8(random.integer(0, 255), random.integer(0, state.length - 1));
      }
      const delta = stateDelta(base, state);
      if (delta === undefined) continue;
      expect(delta.length).toBeLessThanOrEqual(state.length / 2);
      expect(applyStateDelta(base, delta).equals(state)).toBe(true);
    }
    const large = Buffer.alloc(145_000, 7);
    const changed = Buffer.from(large);
    changed[0] = 1;
    changed[144_999] = 1;
    expect(stateDelta(large, changed)?.length).toBeLessThan(200);
    expect(stateDelta(large, large)).toHaveLength(0);
  });

  it('is none for states of two sizes, and for such as have little in common', () => {
    expect(stateDelta(Buffer.alloc(10), Buffer.alloc(11))).toBeUndefined();
    expect(stateDelta(Buffer.alloc(1_000, 1), Buffer.alloc(1_000, 2))).toBeUndefined();
  });

  const run = (offset: number, bytes: number, content: number): Buffer => {
    const head = Buffer.alloc(8);
    head.writeUInt32LE(offset, 0);
    head.writeUInt32LE(bytes, 4);
    return Buffer.concat([head, Buffer.alloc(content)]);
  };
  it.each([
    ['past the end', run(90, 11, 11)],
    ['far past the end', run(0xffffffff, 1, 1)],
    ['longer than what came', run(0, 20, 19)],
    ['no whole head', run(0, 1, 1).subarray(0, 7)],
    ['a good one, then a bad one', Buffer.concat([run(0, 4, 4), run(101, 0, 0)])],
  ])('is refused when a run is %s', (_what, delta) => {
    expect(() => applyStateDelta(Buffer.alloc(100), delta)).toThrow(
      expect.objectContaining({ code: 'BAD_DELTA' }),
    );
  });
});
