/**
 * When to checkpoint. Pure: the loop tells what it knows and gets the moment of the next pause.
 */

export interface PolicyInput {
  nowMs: number;
  /** When the last pause began; undefined before the first. */
  lastPausedAtMs: number | undefined;
}

export interface EpochPolicy {
  readonly name: string;
  /** Milliseconds from now until the next pause should begin; 0 = now. */
  nextPauseInMs(input: PolicyInput): number;
}

export const INTERVAL_MS_DEFAULT = 50;
export const INTERVAL_MS_MIN = 5;
export const INTERVAL_MS_MAX = 60_000;

/** A pause every `intervalMs`, counted from pause to pause; a late one is not made up for. */
export function fixedPolicy(intervalMs: number): EpochPolicy {
  return {
    name: 'fixed',
    nextPauseInMs: ({ nowMs, lastPausedAtMs }) =>
      lastPausedAtMs === undefined ? 0 : Math.max(0, lastPausedAtMs + intervalMs - nowMs),
  };
}
