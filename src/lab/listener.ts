/**
 * Hears every frame that comes out of the hosts' cables, and what guests hand to their taps, by a
 * program at the client's place (native/guest/listener.c). What it means: stamp-log.ts.
 */
import type { ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { labError } from './errors.js';
import { guestImage } from './guest-image.js';
import type { Lab } from './lab.js';
import { HOST_NAMES, netnsPath } from './layout.js';
import { LISTENER_TIMEOUT_MS } from './limits.js';
import { type Stamp, StampLog, stampSchema } from './stamp-log.js';

const settledSchema = z.object({
  settled: z.int(),
  /** Frames of guests. */
  frames: z.int(),
  /** Frames that found no room, and so were not looked at. */
  dropped: z.int(),
  /** Stamps in frames of another kind than theirs, and parts of stamps. */
  damaged: z.int(),
});
export type Settled = z.infer<typeof settledSchema>;

const lineSchema = z.union([stampSchema, settledSchema]);

type Program = ChildProcessByStdio<Writable, Readable, null>;

/** Takes every stamp that is heard, in order; what it throws ends the listener. */
export interface StampSink {
  receive(stamp: Stamp): void;
}

export class Listener {
  readonly log = new StampLog();
  readonly #program: Program;
  readonly #sink: StampSink;
  readonly #waiting = new Map<number, (settled: Settled) => void>();
  #asked = 0;
  #failure: Error | undefined;

  private constructor(program: Program, sink?: StampSink) {
    this.#program = program;
    this.#sink = sink ?? this.log;
    createInterface({ input: program.stdout }).on('line', (line) => this.#take(line));
    // Its end is seen by who asks next; nothing to write to it is lost then.
    program.stdin.on('error', () => undefined);
  }

  /** Hears everything from the moment this resolves; `sink` gets it in place of `log`. @throws LAB_LISTENER_FAILED */
  static async start(lab: Lab, sink?: StampSink): Promise<Listener> {
    const { initrd } = await guestImage();
    const sources = HOST_NAMES.flatMap((host) => [
      ...['--outside', `${host}=to-${host}`],
      ...['--inside', `${host}=${netnsPath(lab.prefix, host)}`],
    ]);
    const stdio = ['pipe', 'pipe', 'inherit'] as const;
    const path = `${dirname(initrd)}/listener`;
    return Listener.of(lab.client.spawn(path, sources, { stdio: [...stdio] }) as Program, sink);
  }

  /** The program was just started by the caller. @throws LAB_LISTENER_FAILED */
  static async of(program: Program, sink?: StampSink): Promise<Listener> {
    const listener = new Listener(program, sink);
    await listener.settle();
    return listener;
  }

  /**
   * Resolves when everything that was on a cable by now is in the log. @throws LAB_LISTENER_FAILED
   * when it ended, missed a frame, or does not answer within LISTENER_TIMEOUT_MS
   */
  async settle(): Promise<Settled> {
    this.#assertAlive();
    this.#asked += 1;
    const number = this.#asked;
    const deadline = new AbortController();
    const settled = new Promise<Settled>((resolve) => this.#waiting.set(number, resolve));
    this.#program.stdin.write(`${number}\n`);
    try {
      const answer = await Promise.race([
        settled,
        once(this.#program, 'exit', { signal: deadline.signal }).then(() => undefined),
        delay(LISTENER_TIMEOUT_MS, undefined, { signal: deadline.signal }),
      ]);
      this.#assertAlive();
      if (answer === undefined) throw failed('it ended or does not answer; see its stderr above');
      if (answer.dropped > 0) throw failed(`${answer.dropped} frames found no room`);
      return answer;
    } finally {
      this.#waiting.delete(number);
      deadline.abort();
    }
  }

  async close(): Promise<void> {
    if (this.#program.exitCode !== null || this.#program.signalCode !== null) return;
    const ended = once(this.#program, 'exit');
    this.#program.kill('SIGKILL');
    await ended;
  }

  #assertAlive(): void {
    if (this.#failure !== undefined) throw this.#failure;
    const { exitCode, signalCode } = this.#program;
    if (exitCode === null && signalCode === null) return;
    throw failed(`it ended with ${exitCode ?? signalCode}; see its stderr above`);
  }

  // What cannot be taken is a failure of the whole: a proof with a hole is none.
  #take(line: string): void {
    if (this.#failure !== undefined) return;
    try {
      const said = lineSchema.parse(JSON.parse(line));
      if ('settled' in said) this.#waiting.get(said.settled)?.(said);
      else this.#sink.receive(said);
    } catch (cause) {
      this.#failure = failed(`"${line}"`, cause);
      this.#program.kill('SIGKILL');
    }
  }
}

function failed(why: string, cause?: unknown): Error {
  return labError('LAB_LISTENER_FAILED', `the listener: ${why}`, { cause });
}
