/** A journal that was cut or bit-flipped at any byte is recovered exactly or refused, never half applied. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { native } from '../../../src/native.js';
import { applyToModel, at, chunkOf, type DiskRecord, Replica } from './store-builders.js';

const SIZES = [4096, 1536];
const HEADER_BYTES = 552;
const MARKS_AT = 4096;
const BODY_AT = 8192;

let replica: Replica;
/** The slot that holds epoch 2, the newest, with one chunk; the other holds epoch 1. */
let newest: 0 | 1;
let image: Map<string, Buffer>;
const states: Buffer[][] = [SIZES.map((bytes) => Buffer.alloc(bytes))];

const records = (epoch: number): DiskRecord[] => [
  { kind: 'write', disk: 0, offset: 100 * epoch, data: Buffer.alloc(700, epoch) },
  { kind: 'trim', disk: 0, offset: 900, length: 40 },
  { kind: 'write', disk: 1, offset: 1000, data: Buffer.alloc(536, epoch) },
];

beforeAll(async () => {
  // On tmpfs, as this opens it many thousand times.
  replica = Replica.make(SIZES, '/dev/shm');
  const store = await replica.openAtEpoch0();
  for (const epoch of [1, 2]) {
    await store.commit([chunkOf(...records(epoch))], at(epoch));
    const state = (states.at(-1) ?? []).map((disk) => Buffer.from(disk));
    applyToModel(state, records(epoch));
    states.push(state);
  }
  await store.close();
  image = replica.image();
  newest = sequenceOf(0) > sequenceOf(1) ? 0 : 1;
});
afterAll(() => replica.remove());

const sequenceOf = (slot: 0 | 1) => readFileSync(replica.slot(slot)).readBigUInt64LE(8);
const older = (): 0 | 1 => (newest === 0 ? 1 : 0);
const bytesOf = (slot: 0 | 1) => image.get(replica.slot(slot)) ?? Buffer.alloc(0);

/** What readRecord says of the journal with this slot instead: an epoch, or the refusal's code. */
function judged(slot: 0 | 1, content: Buffer): number | string | undefined {
  writeFileSync(replica.slot(slot), content);
  try {
    return native.disks.readRecord(replica.journal).position?.epoch;
  } catch (error) {
    return (error as { code: string }).code;
  } finally {
    writeFileSync(replica.slot(slot), bytesOf(slot));
  }
}

/** The same of opening it, and which epoch the disks then hold. */
async function opened(slot: 0 | 1, content: Buffer): Promise<number | string> {
  replica.restore(image);
  writeFileSync(replica.slot(slot), content);
  const before = replica.contents();
  try {
    const store = await replica.open();
    await store.close();
    const epoch = store.record.position?.epoch ?? -1;
    expect(replica.contents()).toEqual(states[epoch]);
    return epoch;
  } catch (error) {
    expect(replica.contents()).toEqual(before);
    return (error as { code: string }).code;
  }
}

function flipped(slot: 0 | 1, byte: number): Buffer {
  const content = Buffer.from(bytesOf(slot));
  content.writeUInt8(content.readUInt8(byte) ^ (1 << (byte % 8)), byte);
  return content;
}

/** Bytes that mean something: damage elsewhere must not matter, damage here must not pass. */
const counts = (byte: number) => byte < HEADER_BYTES || byte >= BODY_AT;
const isMark = (byte: number) => byte >= MARKS_AT && byte < BODY_AT;

describe('the slot of the newest record', () => {
  it('flipped at any byte is found damaged, or it does not matter', async () => {
    for (let byte = 0; byte < bytesOf(newest).length; byte += 1) {
      const expected = counts(byte) ? 'JOURNAL_DAMAGED' : 2;
      expect(judged(newest, flipped(newest, byte)), `byte ${byte}`).toBe(expected);
    }
    for (let byte = 0; byte < bytesOf(newest).length; byte += counts(byte) ? 13 : 301) {
      const expected = counts(byte) ? 'JOURNAL_DAMAGED' : 2;
      expect(await opened(newest, flipped(newest, byte)), `byte ${byte}`).toBe(expected);
    }
  }, 60_000);

  it('cut at any byte is found damaged', async () => {
    const content = bytesOf(newest);
    for (let bytes = 0; bytes < content.length; bytes += 1) {
      expect(judged(newest, content.subarray(0, bytes)), `${bytes}`).toBe('JOURNAL_DAMAGED');
    }
    expect(await opened(newest, content.subarray(0, content.length - 1))).toBe('JOURNAL_DAMAGED');
    expect(await opened(newest, Buffer.alloc(0))).toBe('JOURNAL_DAMAGED');
  }, 60_000);

  it('may have anything behind its commit record', async () => {
    const longer = Buffer.concat([bytesOf(newest), bytesOf(older())]);
    expect(await opened(newest, longer)).toBe(2);
  });

  it('put back from a copy of earlier is found out', async () => {
    const store = await replica.open();
    await store.commit([chunkOf(...records(3))], at(3));
    await store.commit([chunkOf(...records(4))], at(4));
    await store.close();
    // Epoch 4 lies where epoch 2 lay.
    expect(native.disks.readRecord(replica.journal).position?.epoch).toBe(4);
    writeFileSync(replica.slot(newest), bytesOf(newest));
    expect(() => native.disks.readRecord(replica.journal)).toThrow(/is lost/);
    replica.restore(image);
  });
});

describe('the slot of the record before', () => {
  it('may be damaged at any byte', async () => {
    const content = bytesOf(older());
    for (let byte = 0; byte < content.length; byte += 1) {
      expect(judged(older(), flipped(older(), byte)), `byte ${byte}`).toBe(2);
      expect(judged(older(), content.subarray(0, byte)), `${byte} bytes`).toBe(2);
    }
    for (let byte = 0; byte < content.length; byte += 301) {
      expect(await opened(older(), flipped(older(), byte))).toBe(2);
    }
  }, 60_000);
});

describe('a transaction that is not marked as settled', () => {
  it('is replayed over whatever is in place, at any damage of its marks', async () => {
    for (let byte = MARKS_AT; byte < MARKS_AT + 32; byte += 1) {
      replica.restore(image);
      writeFileSync(replica.slot(newest), flipped(newest, byte));
      expect(isMark(byte)).toBe(true);
      // As after a crash in place: some of epoch 2, some of epoch 1.
      const [first, second] = [states[2]?.[0], states[1]?.[1]];
      writeFileSync(replica.disks[0]?.path ?? '', first ?? '');
      writeFileSync(replica.disks[1]?.path ?? '', second ?? '');
      const store = await replica.open();
      expect(store.replayed, `byte ${byte}`).toBe(true);
      expect(store.record.position?.epoch).toBe(2);
      await store.close();
      expect(replica.contents()).toEqual(states[2]);
    }
  });

  it('when torn gives way to the record before, unless it was durable once', async () => {
    const unmarked = Buffer.from(bytesOf(older()));
    unmarked.fill(0, MARKS_AT, BODY_AT);
    for (let byte = 0; byte < bytesOf(newest).length; byte += 1) {
      if (!counts(byte)) continue;
      replica.restore(image);
      writeFileSync(replica.slot(older()), unmarked);
      writeFileSync(replica.slot(newest), flipped(newest, byte));
      expect(native.disks.readRecord(replica.journal).position?.epoch, `${byte}`).toBe(1);
    }
    replica.restore(image);
  });
});

describe('a journal with a file missing, or none of its slots whole', () => {
  it.each([0, 1] as const)('is refused without slot %i', async (slot) => {
    replica.restore(image);
    rmSync(replica.slot(slot));
    await expect(replica.open()).rejects.toMatchObject({ code: 'JOURNAL_DAMAGED' });
  });

  it('is refused, also when it is of another version', async () => {
    replica.restore(image);
    for (const slot of [0, 1] as const) writeFileSync(replica.slot(slot), 'not a journal');
    await expect(replica.open()).rejects.toMatchObject({ code: 'JOURNAL_DAMAGED' });
    replica.restore(image);
  });
});
