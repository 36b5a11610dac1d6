/** What the tests of the mirror target share: opening one in a directory of its own, and the replica's side of its log. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type NativeLogPart,
  type NativeMirrorTarget,
  type NativeMirrorTrouble,
  native,
} from '../../../src/native.js';
import { NbdClient } from './nbd-client.js';

type Options = Parameters<typeof native.disks.openMirrorTarget>[0];
export type TestTarget = NativeMirrorTarget & { closeEpoch(epoch: number): void };

export const MIB = 1024 * 1024;
const TAKE_BYTES = MIB;
const HEADER_BYTES = 24;

export interface Opened extends AsyncDisposable {
  target: TestTarget;
  troubles: NativeMirrorTrouble[];
  directory: string;
  /** Resolves with the next trouble of that kind, or one that was told already. */
  trouble(kind: NativeMirrorTrouble['kind']): Promise<NativeMirrorTrouble>;
  connect(disk: string): Promise<NbdClient>;
  /** For a test that closes the target itself. */
  close(): Promise<void>;
}

/** Runs `body` with a file system of that size, mounted on a directory of its own. */
export async function withTmpfs(
  bytes: number,
  body: (directory: string) => Promise<void>,
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'us-mirror-fs-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'us-mirror', directory]);
  try {
    await body(directory);
  } finally {
    execFileSync('umount', [directory]);
    rmSync(directory, { recursive: true });
  }
}

/** Data without a page of zeroes. */
export function pattern(bytes: number, seed: number): Buffer {
  return Buffer.alloc(
    bytes,
    Buffer.from(Array.from({ length: 251 }, (_, i) => ((i * 31 + seed) % 251) + 1)),
  );
}

export async function openTarget(
  diskBytes: readonly number[],
  options: Partial<Options> = {},
): Promise<Opened> {
  const directory = mkdtempSync(join(tmpdir(), 'us-mirror-'));
  const socketPath = join(directory, 'nbd.sock');
  const troubles: NativeMirrorTrouble[] = [];
  const waiting: (() => void)[] = [];
  const clients: NbdClient[] = [];
  let closed = false;
  const target = (await native.disks.openMirrorTarget({
    socketPath,
    ownerUid: 0,
    disks: diskBytes.map((bytes, i) => ({ name: `vd${'abcdef'[i] ?? i}`, bytes })),
    memoryBytesMax: 16 * MIB,
    spillDirectory: directory,
    spillBytesMax: 64 * MIB,
    rememberBytesMax: 64 * MIB,
    freezeMsMax: 5000,
    onTrouble: (trouble) => {
      troubles.push(trouble);
      for (const wake of waiting.splice(0)) wake();
    },
    ...options,
  })) as TestTarget;
  return {
    target,
    troubles,
    directory,
    async trouble(kind) {
      for (;;) {
        const found = troubles.find((trouble) => trouble.kind === kind);
        if (found !== undefined) return found;
        await new Promise<void>((resolve) => waiting.push(resolve));
      }
    },
    async connect(disk) {
      const client = await NbdClient.connect(socketPath, disk);
      clients.push(client);
      return client;
    },
    async close() {
      closed = true;
      await target.close();
    },
    async [Symbol.asyncDispose]() {
      for (const client of clients) await client.close();
      if (!closed) await target.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

export interface LogRecord {
  kind: 'write' | 'zero' | 'trim';
  disk: number;
  offset: number;
  length: number;
  data: Buffer;
}

/** Reads a disk chunk as native/disk/disk_chunk.h describes it; throws when it does not add up. */
export function parseChunk(chunk: Buffer): LogRecord[] {
  const records: LogRecord[] = [];
  for (let at = 0; at < chunk.length; ) {
    const kind = ([undefined, 'write', 'zero', 'trim'] as const)[chunk.readUInt8(at)];
    const dataBytes = chunk.readUInt32LE(at + 4);
    const length = Number(chunk.readBigUInt64LE(at + 16));
    if (kind === undefined || dataBytes !== (kind === 'write' ? length : 0)) {
      throw new Error('a record that does not add up');
    }
    const data = chunk.subarray(at + HEADER_BYTES, at + HEADER_BYTES + dataBytes);
    if (data.length !== dataBytes) throw new Error('a record is cut short');
    const offset = Number(chunk.readBigUInt64LE(at + 8));
    records.push({ kind, disk: chunk.readUInt8(at + 1), offset, length, data });
    at += HEADER_BYTES + dataBytes;
  }
  return records;
}

export function apply(disks: readonly Buffer[], records: readonly LogRecord[]): void {
  for (const { kind, disk, offset, length, data } of records) {
    const into = disks[disk];
    if (into === undefined || offset + length > into.length) throw new Error('outside the disk');
    if (kind === 'write') data.copy(into, offset);
    else into.fill(0, offset, offset + length);
  }
}

export interface TakenPart extends NativeLogPart {
  records: LogRecord[];
}

export async function take(target: NativeMirrorTarget): Promise<TakenPart> {
  const into = Buffer.alloc(TAKE_BYTES);
  const part = await target.take(into);
  return { ...part, records: parseChunk(into.subarray(0, part.bytes)) };
}

/** Everything up to the end of `epoch`; throws when another epoch's records are among it. */
export async function takeEpoch(target: NativeMirrorTarget, epoch: number): Promise<TakenPart> {
  const records: LogRecord[] = [];
  for (let bytes = 0; ; ) {
    const part = await take(target);
    if (part.epoch !== epoch) throw new Error(`records of epoch ${part.epoch} within ${epoch}`);
    records.push(...part.records);
    bytes += part.bytes;
    if (part.endsEpoch) return { ...part, bytes, records };
  }
}

/** A small deterministic generator (xorshift32): whole numbers below `bound`. */
export function randomFrom(seed: number): (bound: number) => number {
  let state = (seed * 2654435761) | 1;
  return (bound) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % bound;
  };
}
