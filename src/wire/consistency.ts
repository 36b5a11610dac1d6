/** What clients may rely on across a takeover. */
export const CONSISTENCIES = {
  strong: 'Nothing that was ever heard outside is lost: output waits for the checkpoint.',
  timeline: 'Output does not wait: after a takeover clients may find an older state.',
} as const;

export type Consistency = keyof typeof CONSISTENCIES;
