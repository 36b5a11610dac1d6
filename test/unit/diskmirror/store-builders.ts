/**
 * A replica on a scratch directory, disk chunks as native/disk/disk_chunk.h lays them out, and a
 * model of what they make of a disk.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type NativeDiskPosition, type NativeDiskStore, native } from '../../../src/native.js';

export const SECTOR_BYTES = 512;
export const SESSION = '00112233445566778899aabbccddeeff';

const KINDS = { write: 1, zero: 2, trim: 3 };
const RECORD_HEADER_BYTES = 24;

export type DiskRecord =
  | { kind: 'write'; disk: number; offset: number; data: Buffer }
  | { kind: 'zero' | 'trim'; disk: number; offset: number; length: number };

export function chunkOf(...records: readonly DiskRecord[]): Buffer {
  return Buffer.concat(
    records.map((record) => {
      const data = record.kind === 'write' ? record.data : Buffer.alloc(0);
      const header = Buffer.alloc(RECORD_HEADER_BYTES);
      header.writeUInt8(KINDS[record.kind], 0);
      header.writeUInt8(record.disk, 1);
      header.writeUInt32LE(data.length, 4);
      header.writeBigUInt64LE(BigInt(record.offset), 8);
      header.writeBigUInt64LE(BigInt(record.kind === 'write' ? data.length : record.length), 16);
      return Buffer.concat([header, data]);
    }),
  );
}

export function applyToModel(disks: readonly Buffer[], records: readonly DiskRecord[]): void {
  for (const record of records) {
    const disk = disks[record.disk];
    if (record.kind === 'write') disk?.set(record.data, record.offset);
    else disk?.fill(0, record.offset, record.offset + record.length);
  }
}

export function at(epoch: number): NativeDiskPosition {
  return { session: SESSION, term: 1, epoch };
}

/** The same numbers for the same seed (a 32-bit linear congruential generator). */
export function randomFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Some overlapping writes, zeroes and trims of any alignment: a function of the seed. */
export function recordsOf(seed: number, diskBytes: readonly number[], count = 4): DiskRecord[] {
  const random = randomFrom(seed * 7919 + 17);
  return Array.from({ length: count }, (_, i): DiskRecord => {
    const disk = random(diskBytes.length);
    const bytes = diskBytes[disk] ?? 0;
    const offset = random(bytes - 1);
    const length = 1 + random(Math.min(bytes - offset, 3000));
    // At least one write, or a disk of zeroes would stay as it is.
    const kind = i === 0 ? 2 : random(4);
    if (kind === 0) return { kind: 'zero', disk, offset, length };
    if (kind === 1) return { kind: 'trim', disk, offset, length };
    return { kind: 'write', disk, offset, data: Buffer.alloc(length, 1 + ((seed * 31 + i) % 255)) };
  });
}

export class Replica {
  readonly journal: string;
  readonly disks: { path: string; bytes: number }[];

  private constructor(
    readonly directory: string,
    diskBytes: readonly number[],
  ) {
    this.journal = join(directory, 'journal');
    this.disks = diskBytes.map((bytes, i) => ({ path: join(directory, `disk-${i}.raw`), bytes }));
  }

  /** Fresh sparse disks in a directory below `parent`. */
  static make(diskBytes: readonly number[], parent = tmpdir()): Replica {
    const replica = new Replica(mkdtempSync(join(parent, 'understudy-store-')), diskBytes);
    for (const { path, bytes } of replica.disks) {
      writeFileSync(path, '');
      truncateSync(path, bytes);
    }
    return replica;
  }

  open(): Promise<NativeDiskStore> {
    return native.disks.openStore({ journalDirectory: this.journal, disks: this.disks });
  }

  /** A store whose disks, as they are, are epoch 0. */
  async openAtEpoch0(): Promise<NativeDiskStore> {
    const store = await this.open();
    await store.beginCopy();
    await store.commit([], at(0));
    return store;
  }

  contents(): Buffer[] {
    return this.disks.map(({ path }) => readFileSync(path));
  }

  slot(index: 0 | 1): string {
    return join(this.journal, `slot-${index}`);
  }

  /** Every file by its name, to be put back by `restore`. */
  image(): Map<string, Buffer> {
    const paths = [this.slot(0), this.slot(1), ...this.disks.map(({ path }) => path)];
    return new Map(paths.map((path) => [path, readFileSync(path)]));
  }

  restore(image: ReadonlyMap<string, Buffer>): void {
    mkdirSync(this.journal, { recursive: true });
    for (const [path, content] of image) writeFileSync(path, content);
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}
