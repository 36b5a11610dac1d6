/**
 * A scratch process whose memory the tests capture (native/memory/test/scribbler.cc), and a
 * memfd to apply it to. Every process is killed by `end()`.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { NativeCapture, NativeGuestMemory } from '../../../src/native.js';
import { native } from '../../../src/native.js';

const program = fileURLToPath(
  new URL('../../../native/build/Release/understudy-scribbler', import.meta.url),
);

export type ScribblerKind = 'private' | 'huge' | 'shared' | 'memfd';

export class Scribbler {
  readonly hva: bigint;
  readonly bytes: number;
  readonly pid: number;
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: AsyncIterator<string>;

  private constructor(
    child: ChildProcessByStdio<Writable, Readable, null>,
    lines: AsyncIterator<string>,
    greeting: string,
  ) {
    const [hva = '', bytes = ''] = greeting.split(' ');
    this.#child = child;
    this.#lines = lines;
    this.hva = BigInt(hva);
    this.bytes = Number(bytes);
    this.pid = child.pid ?? -1;
  }

  static async start(kind: ScribblerKind, mib: number): Promise<Scribbler> {
    const child = spawn(program, [kind, String(mib)], { stdio: ['pipe', 'pipe', 'inherit'] });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    return new Scribbler(child, lines, await nextLine(lines));
  }

  /** One command, one answer: "ok" or "failed ERRNO". */
  async ask(command: string): Promise<string> {
    this.#child.stdin.write(`${command}\n`);
    return await nextLine(this.#lines);
  }

  /** The process's whole memory as replica offset 0. */
  attach(
    options: { stagingBytes?: number; threads?: number; replicaOffset?: number } = {},
  ): Promise<NativeGuestMemory> {
    const { stagingBytes = 8 << 20, threads = 2, replicaOffset = 0 } = options;
    return native.memory.attach({
      pid: this.pid,
      ranges: [{ hva: this.hva, bytes: this.bytes, replicaOffset }],
      stagingBytes,
      threads,
    });
  }

  /** Where its memfd can be opened (kind 'memfd'). */
  get memfdPath(): string {
    return `/proc/${this.pid}/fd/3`;
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }
}

async function nextLine(lines: AsyncIterator<string>): Promise<string> {
  const { done, value } = await lines.next();
  if (done) throw new Error('the scribbler ended');
  return value;
}

/** Encodes everything captured, the rest of a partial capture included. */
export async function encodeAll(
  memory: NativeGuestMemory,
  capture: NativeCapture,
  chunkBytes = 1 << 20,
): Promise<{ chunks: Buffer[]; dataPages: number; zeroPages: number; unchangedPages: number }> {
  const total = { chunks: [] as Buffer[], dataPages: 0, zeroPages: 0, unchangedPages: 0 };
  for (let part = capture; ; part = await memory.captureRest()) {
    for (let done = false; !done; ) {
      const buffer = Buffer.allocUnsafe(chunkBytes);
      const encoded = await memory.encodeInto(buffer);
      if (encoded.bytes > 0) total.chunks.push(buffer.subarray(0, encoded.bytes));
      total.dataPages += encoded.dataPages;
      total.zeroPages += encoded.zeroPages;
      total.unchangedPages += encoded.unchangedPages;
      done = encoded.done;
    }
    if (part.status === 'complete') return total;
  }
}

/** Options of a capture that no gate holds. */
export function stopped(epoch: number, copy: 'staged' | 'live' = 'staged') {
  return { epoch, copy, boundaries: [] };
}

/** Deterministic numbers below `bound`, so that a failing round can be repeated. */
export function randomFrom(seed: number): (bound: number) => number {
  let state = seed >>> 0;
  return (bound) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
}
