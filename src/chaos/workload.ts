/** The chaos script’s client as its parent sees it: started, asked whether anything is missing, ended. */
import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { type Deferred, deferred } from '../deferred.js';
import { builtProgram } from '../lab/built-program.js';
import type { AnswerSlice } from './answers.js';
import { chaosError } from './errors.js';
import { AUDIT_MS_MAX, COMMAND_MS_MAX } from './limits.js';
import { within } from './within.js';
import type { Audit, WorkloadMessage, WorkloadRequest } from './workload-main.js';

export type { Audit } from './workload-main.js';

/** Starts a program here, or at the client’s place in the laboratory. */
export type Spawn = (file: string, args: readonly string[], options: SpawnOptions) => ChildProcess;

export interface LostConnection {
  /** Date.now() */
  atMs: number;
  why: string;
}

export class Workload {
  readonly slices: AnswerSlice[] = [];
  readonly lostConnections: LostConnection[] = [];
  readonly #child: ChildProcess;
  readonly #ready = deferred();
  readonly #audits = new Map<number, Deferred<Audit>>();
  #nextId = 1;
  #ended: Error | undefined;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#ready.promise.catch(() => undefined);
    child.on('message', (message: WorkloadMessage) => this.#onMessage(message));
    child.once('exit', (code, signal) => this.#fail(`the client ended with ${code ?? signal}`));
  }

  /** Writes are answered when this resolves. @throws CHAOS_WORKLOAD_FAILED */
  static async start(spawn: Spawn, host: string, port: number): Promise<Workload> {
    const program = builtProgram('./workload-main.js', import.meta.url);
    const workload = new Workload(
      spawn(process.execPath, ['--enable-source-maps', program, host, String(port)], {
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      }),
    );
    try {
      await within(COMMAND_MS_MAX, workload.#ready.promise, `Redis at ${host}:${port}`);
    } catch (cause) {
      await workload.close();
      const message = `Redis at ${host}:${port} does not answer`;
      throw chaosError('CHAOS_WORKLOAD_FAILED', message, { cause });
    }
    return workload;
  }

  /** Reads every answered write back. @throws CHAOS_WORKLOAD_FAILED when that takes over AUDIT_MS_MAX */
  async audit(): Promise<Audit> {
    if (this.#ended !== undefined) throw this.#ended;
    const id = this.#nextId++;
    const audited = deferred<Audit>();
    audited.promise.catch(() => undefined);
    this.#audits.set(id, audited);
    const request: WorkloadRequest = { do: 'audit', id };
    this.#child.send(request);
    try {
      return await within(AUDIT_MS_MAX, audited.promise, 'reading back every answered write');
    } finally {
      this.#audits.delete(id);
    }
  }

  async close(): Promise<void> {
    this.#ended ??= chaosError('CHAOS_WORKLOAD_FAILED', 'the client was ended');
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }

  #onMessage(message: WorkloadMessage): void {
    if ('ready' in message) this.#ready.resolve();
    else if ('slices' in message) this.slices.push(...message.slices);
    else if ('lost' in message) this.lostConnections.push({ atMs: Date.now(), why: message.lost });
    else if ('audited' in message) this.#audits.get(message.audited.id)?.resolve(message.audited);
    else this.#fail(message.failed);
  }

  #fail(why: string): void {
    this.#ended ??= chaosError('CHAOS_WORKLOAD_FAILED', why);
    this.#ready.reject(this.#ended);
    for (const audit of this.#audits.values()) audit.reject(this.#ended);
  }
}
