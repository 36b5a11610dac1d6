/**
 * What need not travel: whatever is left out or put off, the replica and what came out of the log
 * are always what was written.
 */
import { describe, expect, it } from 'vitest';
import { native } from '../../../src/native.js';
import {
  apply,
  MIB,
  type Opened,
  openTarget,
  pattern,
  randomFrom,
  take,
  takeEpoch,
} from './mirror-target.js';
import { type NbdClient, NO_HOLE } from './nbd-client.js';

const SECTOR_BYTES = 512;

function digestsOf(content: Buffer, blockBytes: number): Buffer {
  const digests: Buffer[] = [];
  for (let at = 0; at < content.length; at += blockBytes) {
    const hasher = native.memory.hasher();
    hasher.update(content.subarray(at, at + blockBytes));
    digests.push(Buffer.from(hasher.digest(), 'hex'));
  }
  return Buffer.concat(digests);
}

/** A disk of zeroes, repeated blocks and noise. */
function contentFrom(below: (bound: number) => number, bytes: number, blockBytes: number): Buffer {
  const content = Buffer.alloc(bytes);
  for (let at = 0; at < bytes; at += blockBytes) {
    if (below(3) > 0) pattern(blockBytes, below(5)).copy(content, at);
  }
  return content;
}

type Kind = 'unknown' | 'zeroes' | 'digests';

function tell(opened: Opened, replica: Buffer, kind: Kind, blockBytes: number): void {
  if (kind !== 'digests') {
    opened.target.setKnown(0, { content: kind });
    return;
  }
  opened.target.setKnown(0, { content: 'digests', blockBytes, seed: 0n });
  opened.target.addDigests(0, 0, digestsOf(replica, blockBytes));
}

/** One random request, done to the target and to the model. */
function request(
  client: NbdClient,
  model: Buffer,
  initial: Buffer,
  below: (bound: number) => number,
  blockBytes: number,
): Promise<Buffer> {
  const unit = below(2) === 0 ? blockBytes : SECTOR_BYTES;
  const units = Math.ceil(model.length / unit);
  const offset = unit * below(units);
  const bytes = Math.min(model.length - offset, unit * (1 + below(below(4) === 0 ? units : 6)));
  switch (below(6)) {
    case 0:
      model.fill(0, offset, offset + bytes);
      return client.zero(offset, bytes, below(2) === 0 ? NO_HOLE : 0);
    case 1:
      model.fill(0, offset, offset + bytes);
      return client.trim(offset, bytes);
    case 2: {
      const data = below(4) === 0 ? Buffer.alloc(bytes) : pattern(bytes, below(5));
      data.copy(model, offset);
      return client.write(offset, data);
    }
    default: {
      // As QEMU's job does it: mostly what the replica held already.
      const data = Buffer.from(initial.subarray(offset, offset + bytes));
      data.copy(model, offset);
      return client.write(offset, data);
    }
  }
}

async function story(
  kind: Kind,
  blockBytes: number,
  sectors: number,
  seed: number,
): Promise<number> {
  const below = randomFrom(seed);
  const bytes = sectors * SECTOR_BYTES;
  const initial = kind === 'zeroes' ? Buffer.alloc(bytes) : contentFrom(below, bytes, blockBytes);
  const replica = Buffer.from(initial);
  const model = Buffer.from(initial);
  await using opened = await openTarget([bytes]);
  const { target } = opened;
  tell(opened, replica, kind, blockBytes);
  target.ship(1);
  const client = await opened.connect('vda');
  let epoch = 1;
  const boundary = async () => {
    target.closeEpoch(epoch);
    apply([replica], (await takeEpoch(target, epoch)).records);
    epoch += 1;
  };
  if (below(2) === 0) {
    model.fill(0);
    await client.zero(0, bytes);
  }
  for (let i = 0; i < 30; i += 1) {
    await request(client, model, initial, below, blockBytes);
    if (below(8) === 0) await boundary();
  }
  target.complete();
  await boundary();
  expect(replica.equals(model), `${kind} ${blockBytes} seed ${seed} at complete()`).toBe(true);
  const { knownBytes } = target.stats();
  for (let i = 0; i < 10; i += 1) await request(client, model, initial, below, blockBytes);
  await boundary();
  expect(replica.equals(model), `${kind} ${blockBytes} seed ${seed} later`).toBe(true);
  expect(target.stats().knownBytes).toBe(knownBytes);
  return knownBytes;
}

describe('known content', () => {
  const disks: [Kind, number, number][] = [
    ['unknown', 4096, 1000],
    ['zeroes', 4096, 1003],
    ['digests', 4096, 777],
    ['digests', 16384, 2001],
    ['digests', 65536, 2500],
  ];
  it.each(disks)(
    '%s, blocks of %i bytes, %i sectors: nothing is lost',
    async (kind, block, sectors) => {
      let knownBytes = 0;
      for (let seed = 1; seed <= 15; seed += 1)
        knownBytes += await story(kind, block, sectors, seed);
      if (kind === 'unknown') expect(knownBytes).toBe(0);
      else expect(knownBytes).toBeGreaterThan(0);
    },
    30_000,
  );

  it('sends nothing for a replica that holds all of it, though the job zeroes it first', async () => {
    const blockBytes = 65536;
    const content = contentFrom(randomFrom(3), 4 * MIB + 512, blockBytes);
    await using opened = await openTarget([content.length]);
    tell(opened, content, 'digests', blockBytes);
    opened.target.ship(1);
    const client = await opened.connect('vda');
    await client.zero(0, content.length);
    for (let at = 0; at < content.length; at += MIB)
      await client.write(at, content.subarray(at, at + MIB));
    opened.target.complete();
    expect(opened.target.stats().loggedBytes).toBe(0);
  });

  it('sends one block for one changed byte', async () => {
    const blockBytes = 65536;
    const content = contentFrom(randomFrom(4), 4 * MIB, blockBytes);
    await using opened = await openTarget([content.length]);
    tell(opened, content, 'digests', blockBytes);
    opened.target.ship(1);
    const client = await opened.connect('vda');
    content.writeUInt8(content.readUInt8(MIB + 5) ^ 1, MIB + 5);
    for (let at = 0; at < content.length; at += MIB)
      await client.write(at, content.subarray(at, at + MIB));
    const { records } = await take(opened.target);
    expect(records[0]).toMatchObject({ kind: 'write', disk: 0, offset: MIB });
    expect(opened.target.stats().knownBytes).toBe(content.length - blockBytes);
  });

  it('treats blocks without a digest as unknown', async () => {
    const content = pattern(MIB, 1);
    await using opened = await openTarget([content.length]);
    opened.target.setKnown(0, { content: 'digests', blockBytes: 4096, seed: 0n });
    opened.target.addDigests(0, 1, digestsOf(content.subarray(4096, 8192), 4096));
    opened.target.ship(1);
    const client = await opened.connect('vda');
    await client.write(0, content);
    expect(opened.target.stats().knownBytes).toBe(4096);
  });

  it('depends on the seed', async () => {
    const content = pattern(MIB, 1);
    await using opened = await openTarget([content.length]);
    opened.target.setKnown(0, { content: 'digests', blockBytes: 4096, seed: 1n });
    opened.target.addDigests(0, 0, digestsOf(content, 4096));
    opened.target.ship(1);
    const client = await opened.connect('vda');
    await client.write(0, content);
    expect(opened.target.stats().knownBytes).toBe(0);
  });

  it('refuses digests that do not fit', async () => {
    await using opened = await openTarget([MIB + 512]);
    const { target } = opened;
    const bad = expect.objectContaining({ code: 'BAD_ARGUMENT' });
    const set = (blockBytes: number) =>
      target.setKnown(0, { content: 'digests', blockBytes, seed: 0n });
    expect(() => target.addDigests(0, 0, Buffer.alloc(16))).toThrow(bad);
    for (const blockBytes of [0, 512, 5000, 32 * MIB]) expect(() => set(blockBytes)).toThrow(bad);
    set(MIB);
    target.addDigests(0, 0, Buffer.alloc(32));
    expect(() => target.addDigests(0, 0, Buffer.alloc(33))).toThrow(bad);
    expect(() => target.addDigests(0, 1, Buffer.alloc(32))).toThrow(bad);
    expect(() => target.addDigests(0, 3, Buffer.alloc(0))).toThrow(bad);
    expect(() => target.setKnown(1, { content: 'zeroes' })).toThrow(TypeError);
  });
});
