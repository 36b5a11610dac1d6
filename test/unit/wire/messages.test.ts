import { describe, expect, it } from 'vitest';
import { commonVersion, decodeMessage, encodeMessage } from '../../../src/wire/messages.js';

describe('messages', () => {
  it('come out as they went in', () => {
    const sent = { digest: '0'.repeat(32), chunks: 3, disks: [], addresses: [] };
    expect(decodeMessage('checkpoint', encodeMessage('checkpoint', sent))).toEqual(sent);
  });

  it.each([
    ['no JSON', '{', /not JSON/],
    ['a missing field', '{"chunks":1,"disks":[],"addresses":[]}', /digest/],
    ['a wrong type', '{"digest":1,"chunks":1,"disks":[],"addresses":[]}', /digest/],
    [
      'a negative count',
      `{"digest":"${'0'.repeat(32)}","chunks":-1,"disks":[],"addresses":[]}`,
      /chunks/,
    ],
  ])('refuse %s, naming what is wrong', (_what, text, message) => {
    expect(() => decodeMessage('checkpoint', Buffer.from(text))).toThrow(
      expect.objectContaining({
        code: 'WIRE_BAD_MESSAGE',
        message: expect.stringMatching(message),
      }),
    );
  });

  it.each([
    [[1], [1], 1],
    [[3, 2], [2, 1], 2],
    [[5], [1], undefined],
    [[], [1], undefined],
  ])('agree on the newest common version of %j and %j', (theirs, ours, expected) => {
    expect(commonVersion(theirs, ours)).toBe(expected);
  });
});
