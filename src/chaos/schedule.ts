/** A schedule from a seed: the same seed and number give the same faults, on any machine. Pure. */
import { FAULT_NAMES, type FaultName, kindOf, type Side, type Step, WAYS } from './faults.js';
import { AFTER_MS_RANGE, DOWN_MS_RANGE, LASTS_MS_RANGE } from './limits.js';

/** From 0 to below 1. */
export type Random = () => number;

/** mulberry32: 32 bits of state, and small seeds that lie side by side give nothing alike. */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * `count` faults: every kind on every side once, in an order of its own, and then all of them again. Moments,
 * durations and ways of cuts are random.
 */
export function scheduleFrom(
  seed: number,
  count: number,
  only: readonly FaultName[] = FAULT_NAMES,
): Step[] {
  const random = randomFrom(seed);
  const steps: Step[] = [];
  let left: (readonly [FaultName, Side])[] = [];
  while (steps.length < count) {
    if (left.length === 0) left = variantsOf(only);
    const [variant] = left.splice(Math.floor(random() * left.length), 1);
    if (variant === undefined) throw new RangeError('no fault to choose from');
    steps.push(stepOf(variant, random));
  }
  return steps;
}

function variantsOf(names: readonly FaultName[]): (readonly [FaultName, Side])[] {
  return names.flatMap((name) => kindOf(name).sides.map((side) => [name, side] as const));
}

// All three are drawn each time, so that one kind’s change leaves the rest of a seed’s schedule as it was.
function stepOf([fault, on]: readonly [FaultName, Side], random: Random): Step {
  const kind = kindOf(fault);
  const afterMs = within(AFTER_MS_RANGE, random());
  const lastsMs = within(kind.act.do === 'crash' ? DOWN_MS_RANGE : LASTS_MS_RANGE, random());
  const way = WAYS[Math.floor(random() * WAYS.length)] ?? 'both';
  return {
    fault,
    on,
    way: kind.act.do === 'cut' ? way : 'both',
    afterMs,
    lastsMs: kind.lasts ? lastsMs : 0,
  };
}

function within([from, to]: readonly [number, number], part: number): number {
  return Math.round(from + (to - from) * part);
}
