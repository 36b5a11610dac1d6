import { describe, expect, it } from 'vitest';
import { type Copy, newerCopy } from '../../../src/diskmirror/newer-copy.js';

type State = Copy['record']['state'];
const copy = (term: number, ours: boolean, state: State, epoch?: number, session = 's'): Copy => ({
  term,
  ours,
  record: { state, ...(epoch === undefined ? {} : { position: { session, term, epoch } }) },
});

const ranIt = copy(1, true, 'none');

describe('the newer disks', () => {
  it.each<[string, Copy, Copy, string]>([
    ['are those of the host that ran the guest', ranIt, copy(1, false, 'consistent', 9), 'here'],
    ['are those of a later term', ranIt, copy(2, true, 'live', 9), 'there'],
    [
      'are those of the last term, though both ran it once',
      copy(3, true, 'live', 4),
      copy(3, false, 'live', 9),
      'here',
    ],
    [
      'are not an unfinished first copy',
      copy(1, false, 'copying', 9),
      copy(1, false, 'consistent', 2),
      'there',
    ],
    [
      'are the replica of a later epoch',
      copy(1, false, 'consistent', 9),
      copy(1, false, 'consistent', 8),
      'here',
    ],
    [
      'are both, at the same epoch',
      copy(1, false, 'consistent', 9),
      copy(1, false, 'consistent', 9),
      'same',
    ],
    [
      'cannot be told between two sessions',
      copy(1, false, 'consistent', 9),
      copy(1, false, 'consistent', 9, 't'),
      'unknown',
    ],
    [
      'cannot be told when nobody has any',
      copy(0, false, 'none'),
      copy(0, false, 'none'),
      'unknown',
    ],
  ])('%s', (_what, here, there, expected) => {
    expect(newerCopy(here, there)).toBe(expected);
    const mirrored = { here: 'there', there: 'here', same: 'same', unknown: 'unknown' } as const;
    expect(newerCopy(there, here)).toBe(mirrored[expected as keyof typeof mirrored]);
  });
});
