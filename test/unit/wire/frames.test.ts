import { describe, expect, it } from 'vitest';
import { FRAME_TYPES, type Frame, FrameParser, writeHeader } from '../../../src/wire/frames.js';
import { FRAME_HEADER_BYTES, MESSAGE_BYTES_MAX } from '../../../src/wire/limits.js';

function frameBytes(type: keyof typeof FRAME_TYPES, payload: Buffer, epoch = 7, term = 3): Buffer {
  const bytes = Buffer.alloc(FRAME_HEADER_BYTES + payload.length);
  writeHeader(bytes, { type, epoch, term }, payload.length);
  payload.copy(bytes, FRAME_HEADER_BYTES);
  return bytes;
}

function parse(pieces: readonly Buffer[]): Frame[] {
  const frames: Frame[] = [];
  const parser = new FrameParser((frame) => frames.push(frame));
  for (const piece of pieces) parser.push(piece);
  return frames;
}

/** A small deterministic generator (xorshift32), so that a failure can be repeated. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

describe('frames', () => {
  it('come out as they went in, however the stream is cut', () => {
    const sent = Buffer.concat([
      frameBytes('hello', Buffer.from('{"a":1}')),
      frameBytes('committed', Buffer.alloc(0), 2 ** 40),
      frameBytes('chunk', Buffer.alloc(5_000, 9)),
    ]);
    for (const size of [1, 7, 23, 24, 25, 1_000, sent.length]) {
      const pieces: Buffer[] = [];
      for (let at = 0; at < sent.length; at += size) pieces.push(sent.subarray(at, at + size));
      const frames = parse(pieces);
      expect(frames.map(({ type }) => type)).toEqual(['hello', 'committed', 'chunk']);
      expect(frames[1]?.epoch).toBe(2 ** 40);
      expect(frames[1]?.term).toBe(3);
      expect(frames[2]?.payload.equals(Buffer.alloc(5_000, 9))).toBe(true);
    }
  });

  it.each([
    ['another magic', 0, 0xff, 'WIRE_BAD_MAGIC'],
    ['an unknown type', 4, 200, 'WIRE_BAD_FRAME'],
    ['a reserved byte that is set', 5, 1, 'WIRE_BAD_FRAME'],
    ['an impossible epoch', 15, 0xff, 'WIRE_BAD_FRAME'],
    ['more bytes than the type may carry', 23, 0x7f, 'WIRE_TOO_LARGE'],
  ])('refuses %s', (_what, offset, value, code) => {
    const bytes = frameBytes('hello', Buffer.from('{}'));
    bytes[offset] = value;
    expect(() => parse([bytes])).toThrow(expect.objectContaining({ code }));
  });

  it('refuses an oversized payload before allocating it', () => {
    const allocated: number[] = [];
    const parser = new FrameParser(
      () => undefined,
      (bytes) => {
        allocated.push(bytes);
        return Buffer.alloc(bytes);
      },
    );
    const header = frameBytes('hello', Buffer.alloc(0));
    header.writeUInt32LE(MESSAGE_BYTES_MAX + 1, 20);
    expect(() => parser.push(header)).toThrow(expect.objectContaining({ code: 'WIRE_TOO_LARGE' }));
    expect(allocated).toEqual([]);
  });

  it('does not write a header that its peer would refuse', () => {
    expect(() =>
      writeHeader(Buffer.alloc(24), { type: 'heartbeat', epoch: 1, term: 1 }, 17),
    ).toThrow(expect.objectContaining({ code: 'WIRE_TOO_LARGE' }));
  });

  it('survives any bytes: a typed error or nothing, never another exception', () => {
    const next = random(20_261_120);
    const good = frameBytes('checkpoint', Buffer.from(JSON.stringify({ digest: 'x' })));
    for (let round = 0; round < 5_000; round += 1) {
      const bytes = Buffer.from(good);
      for (let flips = 0; flips < 1 + next() * 6; flips += 1) {
        bytes[Math.floor(next() * bytes.length)] = Math.floor(next() * 256);
      }
      try {
        parse([bytes]);
      } catch (error) {
        expect((error as { code?: string }).code).toMatch(/^WIRE_/);
      }
    }
  });

  it('gives every type its own number', () => {
    const ids = Object.values(FRAME_TYPES).map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });
});
