/** The rule that tells the plug qdisc what to do: the product's, and one that lacks its point. */
import { type NativePlugRule, native } from '../../../src/native.js';

export function plugRule(firstEpoch: number): NativePlugRule {
  return native.net.plugRule({ epoch: firstEpoch });
}

/** Planted: a boundary is a BUFFER, a commit a RELEASE_ONE, whatever is outstanding. */
export function ruleWithoutMerge(firstEpoch: number): NativePlugRule {
  return {
    openEpoch: firstEpoch,
    close: () => ['buffer'],
    release: () => ['releaseOne'],
    left: () => undefined,
  };
}
