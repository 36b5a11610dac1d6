/** Which states a domain went through on each host, from the hosts' events, and whether they are the expected ones. Pure. */
import type { EventRecord } from '../../agent/events/events.js';
import type { Role, State } from '../../failover/states.js';

export interface StateSeen {
  /** Since the demo asked for protection. */
  at_ms: number;
  role: Role;
  state: State;
}

export interface StatesSeen {
  a: StateSeen[];
  b: StateSeen[];
}

/** As an operator reads it: `primary protected`. */
export type StateWords = `${Role} ${State}`;

/** What must be seen of each host, in this order; other states may lie between. */
export interface ExpectedStates {
  a: readonly StateWords[];
  b: readonly StateWords[];
}

/** In the order of the events; `fromMs` is the moment 0, milliseconds since 1970. */
export function statesOf(events: readonly EventRecord[], fromMs: number): StateSeen[] {
  return events.flatMap((event) => {
    const state = stateAfter(event);
    if (state === undefined || event.role === undefined) return [];
    return [{ at_ms: Date.parse(event.time) - fromMs, role: event.role, state }];
  });
}

/** The first expected state of each host that was not seen in its turn; empty when all were. */
export function unseenStates(seen: StatesSeen, expected: ExpectedStates): string[] {
  return (['a', 'b'] as const).flatMap((host) => {
    const unseen = firstUnseen(seen[host].map(wordsOf), expected[host]);
    return unseen === undefined ? [] : [`host ${host}: ${unseen}`];
  });
}

export function wordsOf({ role, state }: Pick<StateSeen, 'role' | 'state'>): StateWords {
  return `${role} ${state}`;
}

function firstUnseen(
  seen: readonly StateWords[],
  expected: readonly StateWords[],
): StateWords | undefined {
  let next = 0;
  for (const words of seen) if (words === expected[next]) next += 1;
  return expected[next];
}

/** A session that died cannot say so itself: its agent does, and what that means is `failed`. */
function stateAfter({ event, to, orderly }: EventRecord): State | undefined {
  if (event === 'state-changed') return to as State | undefined;
  return event === 'session-ended' && orderly === false ? 'failed' : undefined;
}
