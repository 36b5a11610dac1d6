/** How the program that passes frames in the kernel is put together; what it does is shown by integration tests. */
import { describe, expect, it } from 'vitest';
import { native } from '../../../src/native.js';

// linux/bpf_common.h, linux/bpf.h
const CLASS_MASK = 0x07;
const JMP = 0x05;
const [LOAD_64, CALL, EXIT] = [0x18, 0x85, 0x95];
const [MAP_LOOKUP, KTIME_GET_NS, REDIRECT, SKB_LOAD_BYTES] = [1, 5, 23, 26];

const program = native.net.passProgram();
/** A 64-bit load takes two places; nothing may jump between them. */
const secondHalves = new Set(program.flatMap(({ code }, at) => (code === LOAD_64 ? [at + 1] : [])));
const jumps = program.flatMap(({ code, offset }, at) =>
  (code & CLASS_MASK) === JMP && code !== CALL && code !== EXIT
    ? [{ at, to: at + 1 + offset }]
    : [],
);

describe('the program that passes frames in the kernel', () => {
  it('jumps only forward, to the beginning of an instruction', () => {
    expect(jumps.length).toBeGreaterThan(0);
    for (const { at, to } of jumps) {
      // A jump that was never given its place would go to the next instruction.
      expect(to, `jump at ${at}`).toBeGreaterThan(at + 1);
      expect(to, `jump at ${at}`).toBeLessThan(program.length);
      expect(secondHalves.has(to), `jump at ${at}`).toBe(false);
    }
  });

  it('ends each of its two ways, and the last instruction is one of the ends', () => {
    expect(program.filter(({ code }) => code === EXIT)).toHaveLength(2);
    expect(program.at(-1)?.code).toBe(EXIT);
  });

  it('asks the clock before it looks at the frame, and redirects last', () => {
    const called = program.flatMap(({ code, value }) => (code === CALL ? [value] : []));
    expect(called).toEqual([
      KTIME_GET_NS,
      SKB_LOAD_BYTES,
      SKB_LOAD_BYTES,
      SKB_LOAD_BYTES,
      MAP_LOOKUP,
      REDIRECT,
    ]);
  });
});
