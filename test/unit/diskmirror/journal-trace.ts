/**
 * What a program did to a replica's files, as strace(1) saw it, and every state in which a power
 * failure could have left them: what was flushed is there, of what was not any sector (512 bytes)
 * may be there in any of its versions.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { randomFrom, SECTOR_BYTES } from './store-builders.js';

export type FileOperation =
  | { kind: 'write'; path: string; offset: number; data: Buffer }
  | { kind: 'flush'; path: string };

export const ADDON =
  process.env.UNDERSTUDY_ADDON ??
  fileURLToPath(new URL('../../../native/build/Release/understudy.node', import.meta.url));

const TRACED = 'pwritev,pwrite64,pwritev2,fallocate,ftruncate,fdatasync,fsync,renameat';
const LINE = /^(\d+\.\d+) (\w+)\(\d+<([^>]*)>(?:, (.*))?\)\s+= (-?\d+)/;

/** Runs `body`, an async function's, with `disks` (native.disks) in scope; only what it does below `directory` counts. */
export function trace(directory: string, body: string): FileOperation[] {
  const out = mkdtempSync(join(tmpdir(), 'understudy-trace-'));
  const program = `const disks = require(${JSON.stringify(ADDON)}).disks; (async () => { ${body} })()`;
  try {
    const options = ['-ff', '-ttt', '-y', '-xx', '-s', '1000000', '-e', `trace=${TRACED}`];
    const run = [...options, '-o', join(out, 'of'), process.execPath, '-e', program];
    const child = spawnSync('strace', run, { encoding: 'utf8' });
    if (child.status !== 0) throw new Error(`strace: ${child.stderr}`);
    const lines = readdirSync(out).flatMap((name) =>
      readFileSync(join(out, name), 'latin1').split('\n'),
    );
    // In the order of their time stamps; -xx writes paths as it does data.
    const hex = hexOf(directory);
    return lines
      .filter((line) => line.includes(hex))
      .sort()
      .flatMap(parseLine);
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

function parseLine(line: string): FileOperation[] {
  const match = LINE.exec(line);
  if (match === null) throw new Error(`not understood: ${line.slice(0, 200)}`);
  const [, , call, file = '', rest = '', result] = match;
  const path = bytesOf(file).toString();
  // tmpfs cannot zero a range; the store then writes zeroes.
  if (line.includes('EOPNOTSUPP')) return [];
  if (Number(result) < 0) throw new Error(`failed: ${line.slice(0, 200)}`);
  if (call === 'fdatasync' || call === 'fsync') return [{ kind: 'flush', path }];
  if (call === 'pwritev') {
    const pieces = [...rest.matchAll(/iov_base="((?:\\x[0-9a-f]{2})*)"/g)];
    const data = Buffer.concat(pieces.map(([, text = '']) => bytesOf(text)));
    if (data.length !== Number(result)) throw new Error(`short: ${line.slice(0, 200)}`);
    return [{ kind: 'write', path, offset: Number(rest.split(', ').at(-1)), data }];
  }
  if (call === 'fallocate') {
    const [, offset, length] = rest.split(', ').map(Number);
    return [{ kind: 'write', path, offset: offset ?? 0, data: Buffer.alloc(length ?? 0) }];
  }
  throw new Error(`not expected: ${line.slice(0, 200)}`);
}

function hexOf(text: string): string {
  return [...Buffer.from(text)].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('');
}

function bytesOf(hex: string): Buffer {
  return Buffer.from(hex.replaceAll('\\x', ''), 'hex');
}

/** The files after a crash, by path. */
export type Image = Map<string, Buffer>;

/** Files of which some sectors have versions that are not flushed. */
export class CrashModel {
  /** By path: the durable content. */
  readonly #durable: Image;
  /** By path and sector: the versions written since the last flush, oldest first. */
  readonly #pending = new Map<string, Map<number, Buffer[]>>();

  constructor(durable: Image) {
    this.#durable = new Map([...durable].map(([path, content]) => [path, Buffer.from(content)]));
  }

  perform(operation: FileOperation): void {
    if (operation.kind === 'flush') {
      for (const [sector, versions] of this.#pending.get(operation.path) ?? []) {
        this.#durable.set(
          operation.path,
          withSector(this.#contentOf(operation.path), sector, versions.at(-1)),
        );
      }
      this.#pending.delete(operation.path);
      return;
    }
    const { path, offset, data } = operation;
    const pending = this.#pending.get(path) ?? new Map<number, Buffer[]>();
    this.#pending.set(path, pending);
    const end = offset + data.length;
    for (let sector = Math.floor(offset / SECTOR_BYTES); sector * SECTOR_BYTES < end; sector += 1) {
      const start = sector * SECTOR_BYTES;
      const versions = pending.get(sector) ?? [];
      const content = Buffer.from(versions.at(-1) ?? this.#durableSector(path, sector));
      const from = Math.max(offset, start);
      const to = Math.min(end, start + SECTOR_BYTES);
      data.copy(content, from - start, from - offset, to - offset);
      if (!content.equals(versions.at(-1) ?? this.#durableSector(path, sector))) {
        pending.set(sector, [...versions, content]);
      }
    }
  }

  /** What can be read now, from the page cache: all that was written. */
  cached(): Image {
    const image = new Map(this.#durable);
    for (const [path, sectors] of this.#pending) {
      for (const [sector, versions] of sectors) {
        image.set(path, withSector(image.get(path) ?? Buffer.alloc(0), sector, versions.at(-1)));
      }
    }
    return image;
  }

  /** All images that a crash may leave now, or `max` of them: the extremes and random ones. */
  images(max: number, seed: number): Image[] {
    const open = [...this.#pending].flatMap(([path, sectors]) =>
      [...sectors].map(([sector, versions]) => ({ path, sector, versions })),
    );
    const choices = open.map(({ versions }) => versions.length + 1);
    const all = choices.reduce((product, count) => product * count, 1);
    const picks: number[][] = [];
    if (all <= max) {
      for (let i = 0; i < all; i += 1) picks.push(digitsOf(i, choices));
    } else {
      const random = randomFrom(seed);
      picks.push(choices.map(() => 0));
      picks.push(choices.map((count) => count - 1));
      for (let i = 0; i < open.length; i += 1) {
        picks.push(choices.map((count, j) => (i === j ? count - 1 : 0)));
        picks.push(choices.map((count, j) => (i === j ? 0 : count - 1)));
      }
      while (picks.length < max) picks.push(choices.map((count) => random(count)));
    }
    return picks.slice(0, max).map((pick) => {
      const image = new Map(this.#durable);
      open.forEach(({ path, sector, versions }, i) => {
        const version = versions[(pick[i] ?? 0) - 1];
        if (version !== undefined) {
          image.set(path, withSector(image.get(path) ?? Buffer.alloc(0), sector, version));
        }
      });
      return image;
    });
  }

  #contentOf(path: string): Buffer {
    return this.#durable.get(path) ?? Buffer.alloc(0);
  }

  #durableSector(path: string, sector: number): Buffer {
    const content = Buffer.alloc(SECTOR_BYTES);
    const start = sector * SECTOR_BYTES;
    content.set(this.#contentOf(path).subarray(start, start + SECTOR_BYTES));
    return content;
  }
}

function digitsOf(number: number, bases: readonly number[]): number[] {
  let rest = number;
  return bases.map((base) => {
    const digit = rest % base;
    rest = Math.floor(rest / base);
    return digit;
  });
}

function withSector(content: Buffer, sector: number, bytes: Buffer | undefined): Buffer {
  if (bytes === undefined) return content;
  const start = sector * SECTOR_BYTES;
  const changed = Buffer.alloc(Math.max(content.length, start + bytes.length));
  content.copy(changed);
  bytes.copy(changed, start);
  return changed;
}
