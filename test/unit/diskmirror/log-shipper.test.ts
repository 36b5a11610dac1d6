import { describe, expect, it } from 'vitest';
import { LogShipper, type LogShipperOptions } from '../../../src/diskmirror/log-shipper.js';
import { type NativeLogPart, native } from '../../../src/native.js';
import type { FrameHeader } from '../../../src/wire/frames.js';
import { FRAME_HEADER_BYTES } from '../../../src/wire/limits.js';

const digestOf = (...texts: string[]): string => {
  const hasher = native.memory.hasher();
  for (const text of texts) hasher.update(Buffer.from(text));
  return hasher.digest();
};

/** A log that hands out `parts` and then stops, as a target does that is closed. */
function logOf(parts: readonly (Partial<NativeLogPart> & { epoch: number; text?: string })[]) {
  const left = [...parts];
  return {
    take: async (into: Buffer): Promise<NativeLogPart> => {
      const part = left.shift();
      if (part === undefined) throw Object.assign(new Error('stopped'), { code: 'STOPPED' });
      const bytes = part.text === undefined ? 0 : into.write(part.text);
      return { endsEpoch: false, intact: true, ...part, bytes };
    },
  };
}

function ship(log: ReturnType<typeof logOf>, options: Partial<LogShipperOptions> = {}) {
  const frames: string[] = [];
  const channel = {
    sendInPlace: async ({ type, epoch, term }: FrameHeader, frame: Buffer) => {
      frames.push(`${type} ${epoch}/${term} ${frame.subarray(FRAME_HEADER_BYTES).toString()}`);
    },
  };
  const newHasher = () => native.memory.hasher();
  const shipper = new LogShipper(log, channel, { term: 3, newHasher, ...options });
  return { shipper, frames };
}

describe('the write log', () => {
  it('goes out in order, and each checkpoint says what went out for it', async () => {
    const { shipper, frames } = ship(
      logOf([
        { epoch: 1, text: 'a' },
        { epoch: 1, text: 'b' },
        { epoch: 1, endsEpoch: true },
        { epoch: 2, endsEpoch: true },
        { epoch: 3, text: 'c', endsEpoch: true },
      ]),
    );
    const one = shipper.closed(1);
    await shipper.run();
    expect(await one).toEqual([{ epoch: 1, chunks: 2, digest: digestOf('a', 'b') }]);
    expect(frames).toEqual(['diskChunk 1/3 a', 'diskChunk 1/3 b', 'diskChunk 3/3 c']);
    expect(shipper.bytes).toBe(3);
  });

  it('of an epoch without a checkpoint is told with the next', async () => {
    const { shipper } = ship(
      logOf([
        { epoch: 1, text: 'a', endsEpoch: true },
        { epoch: 2, text: 'b', endsEpoch: true },
      ]),
    );
    const two = shipper.closed(2);
    await shipper.run();
    expect((await two).map(({ epoch, chunks }) => [epoch, chunks])).toEqual([
      [1, 1],
      [2, 1],
    ]);
  });

  it('of a mirror that was interrupted proves nothing', async () => {
    const { shipper } = ship(logOf([{ epoch: 1, text: 'a', endsEpoch: true, intact: false }]));
    const one = shipper.closed(1);
    const lost = expect.objectContaining({ code: 'DISK_MIRROR_LOST' });
    await expect(shipper.run()).rejects.toEqual(lost);
    await expect(one).rejects.toEqual(lost);
    await expect(shipper.closed(2)).rejects.toEqual(lost);
  });

  it('that stops leaves nobody waiting', async () => {
    const { shipper } = ship(logOf([]));
    const one = shipper.closed(1);
    await shipper.run();
    await expect(one).rejects.toThrow('stopped');
  });

  it('with the barrier shifted on purpose is one epoch late', async () => {
    const { shipper, frames } = ship(
      logOf([
        { epoch: 1, text: 'a', endsEpoch: true },
        { epoch: 2, text: 'b', endsEpoch: true },
      ]),
      { shiftBarrierFrom: 2 },
    );
    const two = shipper.closed(2);
    await shipper.run();
    expect((await two).map(({ epoch }) => epoch)).toEqual([1]);
    expect(frames).toEqual(['diskChunk 1/3 a', 'diskChunk 3/3 b']);
  });
});
