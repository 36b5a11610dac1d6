/**
 * What a plain socket carries from host a to host b over their replication link, in bytes per
 * second: the floor of sync, once in Node and once in C.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { SESSION_NICENESS } from '../../src/agent/limits.js';
import { runCommand } from '../../src/lab/command.js';
import type { Lab } from '../../src/lab/lab.js';
import { HOST_ADDRESSES } from '../../src/lab/layout.js';
import type { Place } from '../../src/lab/place.js';
import { benchError } from '../errors.js';
import { LOOPBACK_TIMEOUT_MS } from '../limits.js';

const PORT = 7999;
const NODE_END = fileURLToPath(new URL('./loopback-end.js', import.meta.url));
const C_SOURCE = fileURLToPath(new URL('../../../bench/capture/loopback.c', import.meta.url));

export class Loopback {
  private constructor(
    private readonly lab: Lab,
    private readonly directory: string,
  ) {}

  static async build(lab: Lab): Promise<Loopback> {
    const directory = await mkdtemp(`${tmpdir()}/understudy-loopback-`);
    await runCommand('gcc', ['-O2', '-o', `${directory}/loopback`, C_SOURCE]);
    return new Loopback(lab, directory);
  }

  /** @throws BENCH_PROGRAM_FAILED */
  nodeBytesPerSecond(bytes: number): Promise<number> {
    return this.#measure([process.execPath, NODE_END], bytes);
  }

  /** @throws BENCH_PROGRAM_FAILED */
  plainBytesPerSecond(bytes: number): Promise<number> {
    return this.#measure([`${this.directory}/loopback`], bytes);
  }

  async remove(): Promise<void> {
    await rm(this.directory, { recursive: true });
  }

  async #measure(command: readonly string[], bytes: number): Promise<number> {
    const end = (place: Place, role: string): ChildProcess => {
      // Ahead of other work, as the sessions that they are compared with.
      const args = ['-n', String(SESSION_NICENESS), ...command, role, HOST_ADDRESSES.a.repl];
      return place.spawn('nice', [...args, String(PORT), String(bytes)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
    };
    const sender = end(this.lab.host('a'), 'send');
    try {
      await firstOutput(sender);
      const receiver = end(this.lab.host('b'), 'receive');
      try {
        return Number(await firstOutput(receiver));
      } finally {
        receiver.kill('SIGKILL');
      }
    } finally {
      sender.kill('SIGKILL');
    }
  }
}

async function firstOutput(child: ChildProcess): Promise<string> {
  const signal = AbortSignal.timeout(LOOPBACK_TIMEOUT_MS);
  const [first] = await Promise.race([
    once(child.stdout as Readable, 'data', { signal }),
    once(child, 'exit', { signal }),
  ]);
  if (Buffer.isBuffer(first)) return first.toString();
  throw benchError('BENCH_PROGRAM_FAILED', `${child.spawnargs.join(' ')} said nothing`);
}
