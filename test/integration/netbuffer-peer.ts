/** Processes in the namespaces of the test network: they answer each command with one line. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, renameSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const answerTimeoutMs = 15_000;

const fileNamed = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** A process that takes a command per line and answers with `{"value":…}` or `{"error":…}`. */
export class Peer {
  readonly #waiting: ((line: string) => void)[] = [];
  private constructor(private readonly child: ChildProcess) {
    if (child.stdout === null) throw new Error('the peer has no output');
    createInterface({ input: child.stdout }).on('line', (line) => this.#waiting.shift()?.(line));
  }

  static async start(space: string | undefined, command: readonly string[]): Promise<Peer> {
    const words = [...(space === undefined ? [] : ['ip', 'netns', 'exec', space]), ...command];
    const [file = '', ...args] = words;
    const peer = new Peer(spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] }));
    await peer.#line();
    return peer;
  }

  async ask<T>(command: string): Promise<T> {
    const answer = this.#line();
    this.child.stdin?.write(`${command}\n`);
    const { value, error } = JSON.parse(await answer) as { value: T; error?: string };
    if (error !== undefined) throw new Error(`${command}: ${error}`);
    return value;
  }

  kill(): void {
    this.child.kill('SIGKILL');
  }

  get pid(): number {
    if (this.child.pid === undefined) throw new Error('the peer has not started');
    return this.child.pid;
  }

  async killed(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = once(this.child, 'exit');
    this.kill();
    await ended;
  }

  #line(): Promise<string> {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error('the peer is silent')), answerTimeoutMs);
      this.#waiting.push((line) => {
        clearTimeout(late);
        resolve(line);
      });
    });
  }
}

/** TCP ends (netbuffer-peer.mjs): `sink` on an address and port, or `source` to it. */
export function startTcpEnd(
  space: string,
  role: 'sink' | 'source',
  address: string,
  port: number,
): Promise<Peer> {
  const script = fileNamed('netbuffer-peer.mjs');
  return Peer.start(space, [process.execPath, script, role, address, String(port)]);
}

/** A process that holds a tap from epoch 1 on, of the built product (netbuffer-holding.mjs). */
export function startHolding(
  { tap, bridge }: { tap: string; bridge: string },
  prefix: readonly string[] = [],
): Promise<Peer> {
  const script = fileNamed('netbuffer-holding.mjs');
  return Peer.start(undefined, [...prefix, process.execPath, script, tap, bridge]);
}

export interface Seen {
  numbers: number[];
  /** Others, as hex. */
  frames: string[];
  /** CLOCK_MONOTONIC of the last one of either. */
  lastNs: bigint;
}

/** Sends raw frames from an interface, and remembers what guests have sent there (netbuffer-wire.c). */
export class Wire {
  private constructor(private readonly peer: Peer) {}

  static async start(space: string | undefined, ifname: string): Promise<Wire> {
    return new Wire(await Peer.start(space, [wireProgram(), ifname]));
  }

  async send(frame: Buffer): Promise<void> {
    await this.peer.ask(`send ${frame.toString('hex')}`);
  }

  async burst(options: {
    from: number;
    through: number;
    to: string;
    mac: string;
    bytes?: number;
  }): Promise<void> {
    const { from, through, bytes = 60, to, mac } = options;
    await this.peer.ask(`burst ${from} ${through} ${bytes} ${to} ${mac}`);
  }

  /** One numbered frame each millisecond until `stop`. */
  async stream(options: { from: number; to: string; mac: string }): Promise<void> {
    await this.peer.ask(`stream ${options.from} ${options.to} ${options.mac}`);
  }

  /** The last number that was sent. */
  stop(): Promise<number> {
    return this.peer.ask('stop');
  }

  async seen(): Promise<Seen> {
    const { lost, lastNs, ...seen } = await this.peer.ask<
      Omit<Seen, 'lastNs'> & { lost: number; lastNs: string }
    >('seen');
    if (lost > 0) throw new Error(`the listener itself has lost ${lost} frames`);
    return { ...seen, lastNs: BigInt(lastNs) };
  }

  async forget(): Promise<void> {
    await this.peer.ask('forget');
  }

  kill(): void {
    this.peer.kill();
  }
}

let built: string | undefined;

/** Compiled beside this file where there is no compiler, else built once per process. */
function wireProgram(): string {
  const ready = fileNamed('netbuffer-wire');
  if (existsSync(ready)) return ready;
  built ??= buildWire();
  return built;
}

/** Static, so that it runs in a machine without its libraries. */
export function buildWire(): string {
  const program = fileNamed('../../native/build/netbuffer-wire');
  const staged = `${program}.${process.pid}`;
  execFileSync('gcc', ['-O2', '-static', '-o', staged, fileNamed('netbuffer-wire.c')]);
  // One that runs goes on: it keeps the old file.
  renameSync(staged, program);
  return program;
}
