import { describe, expect, it } from 'vitest';
import { DIGEST_BLOCK_BYTES_MIN, DIGEST_TABLE_BYTES_MAX } from '../../../src/diskmirror/limits.js';
import {
  DIGEST_BYTES,
  digestBlockBytes,
  planResync,
  type ReplicaAnswer,
} from '../../../src/diskmirror/resync-plan.js';

const MIB = 1024 ** 2;
const disks = [
  { name: 'vda', bytes: 64 * MIB },
  { name: 'vdb', bytes: 128 * MIB },
];
const at = (session: string, epoch: number) => ({ session, term: 1, epoch });
const answer = (
  state: ReplicaAnswer['record']['state'],
  position?: ReturnType<typeof at>,
  fresh = [false, false],
): ReplicaAnswer => ({ record: { state, ...(position && { position }) }, fresh });
const compare = { how: 'compare', blockBytes: DIGEST_BLOCK_BYTES_MIN };
const copy = { how: 'copy' };

describe('a replica gets current', () => {
  it.each([
    [
      'by a first copy when it was just made',
      answer('none', undefined, [true, true]),
      undefined,
      [copy, copy],
    ],
    [
      'by comparing only the disk that was there',
      answer('none', undefined, [true, false]),
      undefined,
      [copy, compare],
    ],
    [
      'by comparing when nothing is remembered',
      answer('consistent', at('s', 9)),
      undefined,
      [compare, compare],
    ],
    ['by comparing after an unfinished copy', answer('copying'), at('s', 9), [compare, compare]],
    [
      'by comparing once a guest ran on it',
      answer('live', at('s', 9)),
      at('s', 9),
      [compare, compare],
    ],
    [
      'by comparing when it fell behind what is remembered',
      answer('consistent', at('s', 8)),
      at('s', 9),
      [compare, compare],
    ],
    [
      'by comparing when its epoch is another session’s',
      answer('consistent', at('r', 9)),
      at('s', 9),
      [compare, compare],
    ],
    [
      'anew when one of its files is gone',
      answer('consistent', at('s', 9), [true, false]),
      at('s', 9),
      [copy, compare],
    ],
  ])('%s', (_what, replica, remembered, expected) => {
    expect(planResync(disks, replica, remembered)).toEqual({ how: 'mirror', disks: expected });
  });

  it.each([
    ['at the remembered epoch', 9],
    ['at a later one, whose acknowledgement was lost', 10],
  ])('by what is remembered when it is %s', (_what, epoch) => {
    expect(planResync(disks, answer('consistent', at('s', epoch)), at('s', 9))).toEqual({
      how: 'replay',
    });
  });
});

describe('a block whose digest is compared', () => {
  it.each([
    1,
    64 * MIB,
    1024 * MIB,
    3 * 1024 ** 4,
    64 * 1024 ** 4,
  ])('keeps the table of a disk of %d bytes within its limit', (bytes) => {
    const blockBytes = digestBlockBytes(bytes);
    expect(Math.ceil(bytes / blockBytes) * DIGEST_BYTES).toBeLessThanOrEqual(
      DIGEST_TABLE_BYTES_MAX + DIGEST_BYTES,
    );
    expect(Math.log2(blockBytes) % 1).toBe(0);
  });

  it('is as small as the limit allows', () => {
    expect(digestBlockBytes(1)).toBe(DIGEST_BLOCK_BYTES_MIN);
  });
});
