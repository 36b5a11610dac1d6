/**
 * When to checkpoint. Pure: the loop tells what it knows and gets the moment of the next pause; it
 * asks again whenever something of this changes.
 *
 * Both policies begin one at once when it was asked for and when a buffer fills (the output hold's, or
 * staging): a limit that is reached costs packets, or a pause as long as the network is slow.
 */

export interface PolicyInput {
  nowMs: number;
  /** When the last pause began; undefined before the first. */
  lastPausedAtMs: number | undefined;
  /** Since when output of the open epoch waits; undefined when none does. */
  waitingSinceMs: number | undefined;
  /** Held output has passed half of a limit. */
  holdFilling: boolean;
  /** Somebody asked for a checkpoint of the present state. */
  asked: boolean;
  /** From the last pause's begin to its commit: so long will the next take as well. */
  lastCommitMs: number;
  /** What pauses have cost the guest lately, each: ms in which it would have worked. */
  pauseCostMs: number;
  dirty: DirtySet;
}

/** What is known of the pages that the open epoch has dirtied. */
export interface DirtySet {
  /** Of the last epoch, per ms between pauses. */
  bytesPerMs: number;
  /** When it was last looked at, and how large it was. */
  seenAtMs: number;
  seenBytes: number;
  /** What one pause can copy. */
  stagingBytes: number;
}

export interface EpochPolicy {
  readonly name: PolicyName;
  /** Milliseconds from now until the next pause should begin; 0 = now. */
  nextPauseInMs(input: PolicyInput): number;
}

export const POLICIES = {
  fixed: 'A checkpoint every interval, whatever the guest does.',
  adaptive: 'A checkpoint when output waits, and at the latest after the maximum interval.',
} as const;

export type PolicyName = keyof typeof POLICIES;

export type PolicyOptions =
  | { name: 'fixed'; intervalMs: number }
  | {
      name: 'adaptive';
      minIntervalMs: number;
      maxIntervalMs: number;
      /** Part of the guest’s working time that pauses may take, 0 to 1. */
      pauseBudget: number;
    };

export const POLICY_DEFAULT = 'adaptive';
/** Of `fixed`: what the field uses. */
export const INTERVAL_MS_DEFAULT = 50;
export const INTERVAL_MS_MIN = 5;
export const INTERVAL_MS_MAX = 60_000;

/** Shorter than any checkpoint takes: output is never kept waiting for it, a burst may be. */
export const MIN_INTERVAL_MS_DEFAULT = 2;
/** A guest that says nothing loses at most this much silent work, and costs next to nothing. */
export const MAX_INTERVAL_MS_DEFAULT = 1_000;
export const PAUSE_BUDGET_DEFAULT = 0.2;

/** A checkpoint begins when the dirty set is expected to fill this part of staging by its end. */
export const STAGING_FULL_PART = 0.75;

export function policyOf(options: PolicyOptions): EpochPolicy {
  return options.name === 'fixed' ? fixedPolicy(options.intervalMs) : adaptivePolicy(options);
}

/** A pause every `intervalMs`, counted from pause to pause; a late one is not made up for. */
export function fixedPolicy(intervalMs: number): EpochPolicy {
  return {
    name: 'fixed',
    nextPauseInMs: (input) => {
      if (input.lastPausedAtMs === undefined || isUrgent(input)) return 0;
      return Math.min(until(input, input.lastPausedAtMs + intervalMs), stagingFullInMs(input));
    },
  };
}

/**
 * A pause as soon as output waits, but never more often than the minimum interval and the pause budget
 * allow: pauses that cost the guest `pauseCostMs` each lie at least `pauseCostMs / budget` apart.
 */
export function adaptivePolicy(options: Extract<PolicyOptions, { name: 'adaptive' }>): EpochPolicy {
  const { minIntervalMs, maxIntervalMs, pauseBudget } = options;
  return {
    name: 'adaptive',
    nextPauseInMs: (input) => {
      if (input.lastPausedAtMs === undefined || isUrgent(input)) return 0;
      const gapMs = Math.max(minIntervalMs, input.pauseCostMs / pauseBudget);
      const soonest = until(input, input.lastPausedAtMs + Math.min(gapMs, maxIntervalMs));
      if (input.waitingSinceMs !== undefined) return soonest;
      const latest = until(input, input.lastPausedAtMs + maxIntervalMs);
      return Math.min(latest, stagingFullInMs(input));
    },
  };
}

const isUrgent = ({ asked, holdFilling }: PolicyInput): boolean => asked || holdFilling;

const until = ({ nowMs }: PolicyInput, momentMs: number): number => Math.max(0, momentMs - nowMs);

/** At the present rate, and given the time that a checkpoint takes. Infinity when it never will. */
function stagingFullInMs({ nowMs, lastCommitMs, dirty }: PolicyInput): number {
  const { bytesPerMs, seenAtMs, seenBytes, stagingBytes } = dirty;
  const now = seenBytes + bytesPerMs * (nowMs - seenAtMs + lastCommitMs);
  const room = stagingBytes * STAGING_FULL_PART - now;
  if (room <= 0) return 0;
  return bytesPerMs > 0 ? room / bytesPerMs : Number.POSITIVE_INFINITY;
}
