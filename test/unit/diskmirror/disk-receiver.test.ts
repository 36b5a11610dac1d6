import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DiskReceiver } from '../../../src/diskmirror/disk-receiver.js';
import { RECORD_EVERY_MS, STAGED_MEMORY_BYTES_MAX } from '../../../src/diskmirror/limits.js';
import { type NativeDiskStore, native } from '../../../src/native.js';
import type { EpochLog } from '../../../src/wire/messages.js';

const BLOCK = 4096;
const DISK_BYTES = 128 * 1024 ** 2;
const SESSION = 'ab'.repeat(16);

let directory: string;
let store: NativeDiskStore;
let failures: Error[];
let recycled: number;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'receiver-'));
  failures = [];
  recycled = 0;
  mkdirSync(join(directory, 'journal'));
});
afterEach(async () => {
  await store.close();
  rmSync(directory, { recursive: true });
});

const image = (): string => join(directory, 'vda.raw');

async function open(): Promise<void> {
  store = await native.disks.openStore({
    journalDirectory: join(directory, 'journal'),
    disks: [{ path: image(), bytes: DISK_BYTES }],
  });
}

/** A replica that was never whole, unless it is said to be. */
async function receiver(how: { whole?: boolean } = {}): Promise<DiskReceiver> {
  writeFileSync(image(), '');
  truncateSync(image(), DISK_BYTES);
  await open();
  await store.beginCopy();
  if (how.whole === true) await store.commit([], { session: SESSION, term: 1, epoch: 1 });
  return new DiskReceiver({
    store,
    session: SESSION,
    term: 1,
    firstEpoch: how.whole === true ? 2 : 1,
    writesThrough: how.whole !== true,
    newHasher: () => native.memory.hasher(),
    recycle: () => {
      recycled += 1;
    },
    onFailed: (error) => failures.push(error),
  });
}

/** A chunk with one write of a block full of `value`. */
function write(block: number, value: number, blocks = 1): Buffer {
  const chunk = Buffer.alloc(24 + BLOCK * blocks, value);
  chunk.fill(0, 0, 24);
  chunk.writeUInt8(1, 0);
  chunk.writeUInt32LE(BLOCK * blocks, 4);
  chunk.writeBigUInt64LE(BigInt(block * BLOCK), 8);
  chunk.writeBigUInt64LE(BigInt(BLOCK * blocks), 16);
  return chunk;
}

function logOf(epoch: number, ...chunks: readonly Buffer[]): EpochLog {
  const hasher = native.memory.hasher();
  for (const chunk of chunks) hasher.update(chunk);
  return { epoch, chunks: chunks.length, digest: hasher.digest() };
}

function block(number: number): number {
  const byte = Buffer.alloc(1);
  const file = openSync(image(), 'r');
  readSync(file, byte, 0, 1, number * BLOCK);
  closeSync(file);
  return byte[0] ?? -1;
}

describe('disk writes of a whole replica', () => {
  it('touch nothing before their checkpoint, and all of it afterwards', async () => {
    const disks = await receiver({ whole: true });
    const chunks = [write(0, 1), write(1, 2), write(0, 3)];
    for (const chunk of chunks) disks.onChunk(2, chunk);
    expect(block(0)).toBe(0);
    disks.verify(2, [logOf(2, ...chunks)]);
    disks.commit(2);
    await disks.finishApplying();
    expect([block(0), block(1)]).toEqual([3, 2]);
    expect(disks.recordedEpoch).toBe(2);
    expect(recycled).toBe(3);
  });

  it('of the next epoch wait for theirs', async () => {
    const disks = await receiver({ whole: true });
    const [first, second] = [write(0, 1), write(0, 2)];
    disks.onChunk(2, first);
    disks.onChunk(3, second);
    disks.verify(2, [logOf(2, first)]);
    disks.commit(2);
    await disks.discardIncomplete();
    await disks.finishApplying();
    expect(block(0)).toBe(1);
    const { state, position } = native.disks.readRecord(join(directory, 'journal'));
    expect([state, position?.epoch]).toEqual(['consistent', 2]);
  });

  it('that do not fit into memory wait in the journal', async () => {
    const disks = await receiver({ whole: true });
    const blocks = 256;
    const count = STAGED_MEMORY_BYTES_MAX / (blocks * BLOCK) + 8;
    const chunks = Array.from({ length: count }, (_, at) => write(at * blocks, at + 1, blocks));
    for (const chunk of chunks) await disks.onChunk(2, chunk);
    expect(block(0)).toBe(0);
    disks.verify(2, [logOf(2, ...chunks)]);
    disks.commit(2);
    await disks.finishApplying();
    expect(chunks.map((_, at) => block(at * blocks))).toEqual(chunks.map((_, at) => at + 1));
  });

  it.each<[string, (log: EpochLog) => EpochLog[]]>([
    ['a chunk less', (log) => [{ ...log, chunks: log.chunks + 1 }]],
    ['another digest', (log) => [{ ...log, digest: '0'.repeat(32) }]],
    ['an epoch that is not named', () => []],
    ['an epoch that is not here', (log) => [log, { ...log, epoch: 3 }]],
  ])('are refused with %s', async (_what, told) => {
    const disks = await receiver({ whole: true });
    const chunk = write(0, 1);
    disks.onChunk(2, chunk);
    expect(() => disks.verify(3, told(logOf(2, chunk)))).toThrow(
      expect.objectContaining({ code: 'DISK_LOG_INCOMPLETE' }),
    );
    expect(block(0)).toBe(0);
  });

  it('are refused outside the disk, and out of order', async () => {
    const disks = await receiver({ whole: true });
    expect(() => disks.onChunk(2, write(DISK_BYTES / BLOCK, 1))).toThrow(
      expect.objectContaining({ code: 'DISK_CHUNK_MALFORMED' }),
    );
    disks.onChunk(3, write(0, 1));
    expect(() => disks.onChunk(2, write(0, 1))).toThrow(
      expect.objectContaining({ code: 'WIRE_UNEXPECTED' }),
    );
  });
});

describe('a first copy', () => {
  it('goes in place at once, and the next epoch does not', async () => {
    const disks = await receiver();
    const [copied, later] = [write(0, 1), write(0, 2)];
    disks.onChunk(1, copied);
    disks.onChunk(2, later);
    await vi.waitFor(() => expect(block(0)).toBe(1));
    expect(native.disks.readRecord(join(directory, 'journal')).state).toBe('copying');
    disks.verify(1, [logOf(1, copied)]);
    disks.commit(1);
    await disks.finishApplying();
    expect(block(0)).toBe(1);
    expect(native.disks.readRecord(join(directory, 'journal')).position?.epoch).toBe(1);
  });

  it('whose first pause failed is whole with the second epoch', async () => {
    const disks = await receiver();
    const [copied, later] = [write(0, 1), write(1, 2)];
    disks.onChunk(1, copied);
    disks.onChunk(2, later);
    disks.verify(2, [logOf(1, copied), logOf(2, later)]);
    disks.commit(2);
    await disks.finishApplying();
    expect([block(0), block(1)]).toEqual([1, 2]);
    expect(disks.recordedEpoch).toBe(2);
  });
});

describe('epochs without a write', () => {
  it('are noted now and then, and at the end', async () => {
    const disks = await receiver({ whole: true });
    const recorded: number[] = [];
    const untilMs = performance.now() + 2.5 * RECORD_EVERY_MS;
    let epoch = 2;
    for (; performance.now() < untilMs; epoch += 1) {
      disks.verify(epoch, []);
      disks.commit(epoch);
      await new Promise((resolve) => setTimeout(resolve, 10));
      recorded.push(disks.recordedEpoch);
    }
    expect(new Set(recorded).size).toBeGreaterThanOrEqual(3);
    expect(new Set(recorded).size).toBeLessThanOrEqual(5);
    await disks.finishApplying();
    expect(disks.recordedEpoch).toBe(epoch - 1);
  });
});

describe('a store that fails', () => {
  it('is said once, and nothing later counts', async () => {
    const disks = await receiver({ whole: true });
    await store.close();
    disks.verify(2, []);
    disks.commit(2);
    await expect(disks.finishApplying()).rejects.toMatchObject({ code: 'DISK_STORE_FAILED' });
    disks.commit(3);
    await expect(disks.finishApplying()).rejects.toMatchObject({ code: 'DISK_STORE_FAILED' });
    expect(failures).toHaveLength(1);
    await open();
  });
});
