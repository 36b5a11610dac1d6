import { describe, expect, it } from 'vitest';
import type { EventRecord } from '../../../src/agent/events/events.js';
import {
  type StatesSeen,
  type StateWords,
  statesOf,
  unseenStates,
} from '../../../src/lab/demo/states-seen.js';

const FROM_MS = Date.parse('2026-11-22T00:30:00.000Z');

function event(facts: Partial<EventRecord>): EventRecord {
  return { time: '2026-11-22T00:30:01.500Z', domain: 'demo', event: 'state-changed', ...facts };
}

function seen(a: readonly StateWords[], b: readonly StateWords[] = []): StatesSeen {
  const of = (words: readonly StateWords[]) =>
    words.map((one, index) => {
      const [role, state] = one.split(' ') as ['primary' | 'backup', 'protected'];
      return { at_ms: index, role, state };
    });
  return { a: of(a), b: of(b) };
}

describe('states of a domain from the events of a host', () => {
  it.each([
    [
      'a change of state',
      event({ role: 'primary', from: 'syncing', to: 'protected' }),
      'protected',
    ],
    [
      'a session that died',
      event({ event: 'session-ended', role: 'primary', orderly: false }),
      'failed',
    ],
  ] as const)('are told by %s', (_what, record, state) => {
    expect(statesOf([record], FROM_MS)).toEqual([{ at_ms: 1_500, role: 'primary', state }]);
  });

  it.each([
    ['another event', event({ event: 'sync-done', role: 'primary' })],
    ['a session that ended as it should', event({ event: 'session-ended', orderly: true })],
    ['an event of no role', event({ to: 'protected' })],
  ])('are not told by %s', (_what, record) => {
    expect(statesOf([record], FROM_MS)).toEqual([]);
  });
});

describe('expected states', () => {
  const expected = {
    a: ['primary protected', 'primary fenced', 'backup protected'],
    b: ['backup protected', 'primary protected'],
  } as const;

  it.each<[string, StatesSeen, string[]]>([
    ['are all there', seen(expected.a, expected.b), []],
    [
      'may have others between them',
      seen(
        ['primary syncing', 'primary protected', 'primary fenced', 'backup protected'],
        ['backup protected', 'backup promoted', 'primary protected'],
      ),
      [],
    ],
    [
      'are missed when one was left out',
      seen(['primary protected', 'backup protected'], expected.b),
      ['host a: primary fenced'],
    ],
    [
      'are missed when they came in another order',
      seen(expected.a, ['primary protected', 'backup protected']),
      ['host b: primary protected'],
    ],
    [
      'are missed of each host',
      seen(['primary protected'], []),
      ['host a: primary fenced', 'host b: backup protected'],
    ],
    [
      'are not those of the other role',
      seen(expected.a, ['primary protected', 'primary protected']),
      ['host b: backup protected'],
    ],
  ])('%s', (_what, states, unseen) => {
    expect(unseenStates(states, expected)).toEqual(unseen);
  });
});
