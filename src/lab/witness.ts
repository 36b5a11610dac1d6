/**
 * An observer at the client's place in the laboratory: what it sees is what the outside world
 * was told. It runs as a process in the client's network namespace (witness-proc.ts).
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { BeaconReport } from './beacon-log.js';
import { builtProgram } from './built-program.js';
import { labError } from './errors.js';
import {
  type DiskloadMode,
  type DiskloadReport,
  type DiskstampReport,
  type MemstampReport,
  parseDiskload,
  parseDiskstamp,
  parseMemstamp,
  parseTalker,
  type TalkerReport,
} from './guest-reports.js';
import { ASK_TIMEOUT_MS, DISKLOAD_ANSWER_SLACK_MS } from './limits.js';
import type { Place } from './place.js';
import { DISKLOAD_PORT, DISKSTAMP_PORT, MEMSTAMP_PORT, TALKER_PORT } from './ports.js';

export type {
  DiskloadReport,
  DiskstampReport,
  MemstampReport,
  TalkerReport,
} from './guest-reports.js';

/** One datagram to a program in the guest, which answers with one. */
export interface Question {
  address: string;
  port: number;
  text: string;
  timeoutMs: number;
}

export type WitnessRequest =
  | { kind: 'beacon'; id: number }
  | { kind: 'ask'; id: number; question: Question };

export type WitnessReply =
  | { kind: 'ready' }
  | { kind: 'beacon'; id: number; report: BeaconReport }
  | { kind: 'ask'; id: number; line: string | undefined };

type Answer = Exclude<WitnessReply, { kind: 'ready' }>;

export class Witness {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (answer: Answer | undefined) => void>();
  #nextId = 1;

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.on('message', (message: WitnessReply) => {
      if (message.kind !== 'ready') this.#settle(message.id, message);
    });
    child.on('exit', () => {
      for (const id of [...this.#waiting.keys()]) this.#settle(id, undefined);
    });
  }

  /** Listens for the beacon when this resolves. @throws LAB_GUEST_NO_ANSWER when it cannot start */
  static async start(client: Place): Promise<Witness> {
    const child = client.spawn(
      process.execPath,
      [builtProgram('./witness-proc.js', import.meta.url)],
      {
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
        serialization: 'advanced',
      },
    );
    const first = await Promise.race([once(child, 'message'), once(child, 'exit')]);
    if ((first[0] as WitnessReply | undefined)?.kind !== 'ready') {
      throw labError('LAB_GUEST_NO_ANSWER', 'the witness ended at its start; see its stderr above');
    }
    return new Witness(child);
  }

  /** What has been seen of the beacon so far. @throws LAB_GUEST_NO_ANSWER */
  async beacon(): Promise<BeaconReport> {
    const answer = await this.#request((id) => ({ kind: 'beacon', id }));
    if (answer?.kind === 'beacon') return answer.report;
    throw labError('LAB_GUEST_NO_ANSWER', 'the witness ended');
  }

  /** Asks memstamp in the guest. @throws LAB_GUEST_NO_ANSWER after `timeoutMs` */
  memstamp(address: string, timeoutMs = ASK_TIMEOUT_MS): Promise<MemstampReport> {
    const question = { address, port: MEMSTAMP_PORT, text: '?', timeoutMs };
    return this.#ask('memstamp', question, parseMemstamp);
  }

  /** Asks diskstamp in the guest. @throws LAB_GUEST_NO_ANSWER after `timeoutMs` */
  diskstamp(address: string, timeoutMs = ASK_TIMEOUT_MS): Promise<DiskstampReport> {
    const question = { address, port: DISKSTAMP_PORT, text: '?', timeoutMs };
    return this.#ask('diskstamp', question, parseDiskstamp);
  }

  /** Asks the talker in the guest. @throws LAB_GUEST_NO_ANSWER after `timeoutMs` */
  talker(address: string, timeoutMs = ASK_TIMEOUT_MS): Promise<TalkerReport> {
    const question = { address, port: TALKER_PORT, text: '?', timeoutMs };
    return this.#ask('talker', question, parseTalker);
  }

  /** Lets diskload in the guest write for some seconds; resolves after that. @throws LAB_GUEST_NO_ANSWER */
  diskload(address: string, mode: DiskloadMode, seconds: number): Promise<DiskloadReport> {
    // The number makes a repeated question one and the same run.
    const text = `${mode} ${seconds} ${process.pid}-${this.#nextId}`;
    const timeoutMs = seconds * 1000 + DISKLOAD_ANSWER_SLACK_MS;
    return this.#ask('diskload', { address, port: DISKLOAD_PORT, text, timeoutMs }, parseDiskload);
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }

  async #ask<T>(
    program: string,
    question: Question,
    parse: (line: string) => T | undefined,
  ): Promise<T> {
    const answer = await this.#request((id) => ({ kind: 'ask', id, question }));
    const line = answer?.kind === 'ask' ? answer.line : undefined;
    const report = line === undefined ? undefined : parse(line);
    if (report !== undefined) return report;
    const why = line === undefined ? `no answer in ${question.timeoutMs} ms` : `"${line}"`;
    throw labError('LAB_GUEST_NO_ANSWER', `${program} at ${question.address}: ${why}`);
  }

  #request(make: (id: number) => WitnessRequest): Promise<Answer | undefined> {
    const id = this.#nextId++;
    return new Promise((resolve) => {
      if (!this.#child.connected) return resolve(undefined);
      this.#waiting.set(id, resolve);
      this.#child.send(make(id));
    });
  }

  #settle(id: number, answer: Answer | undefined): void {
    const resolve = this.#waiting.get(id);
    this.#waiting.delete(id);
    resolve?.(answer);
  }
}
