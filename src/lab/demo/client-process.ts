/** The demo's client as its parent sees it: started in the client's namespace, asked, ended. */
import type { ChildProcess } from 'node:child_process';
import { type Deferred, deferred } from '../../deferred.js';
import { builtProgram } from '../built-program.js';
import { labError } from '../errors.js';
import type { Lab } from '../lab.js';
import type { ClientFinal, ClientMessage, ClientRequest, StoryMoments } from './client.js';
import type { ConversationReport, Wait } from './conversation.js';

/** Reading back some 60,000 keys through a held guest takes seconds. */
const FINISH_TIMEOUT_MS = 60_000;
const READY_TIMEOUT_MS = 20_000;

export class ClientProcess {
  readonly #child: ChildProcess;
  readonly #ready = deferred();
  readonly #final = deferred<ClientFinal>();
  readonly #audited = deferred<{ lostWrites: number }>();
  #latest: ConversationReport | undefined;
  readonly #waits = new Map<number, (wait: Wait) => void>();
  #number = 0;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#final.promise.catch(() => undefined);
    this.#audited.promise.catch(() => undefined);
    child.on('message', (message: ClientMessage) => this.#onMessage(message));
    child.once('exit', (code) => this.#fail(`the client ended with code ${code}`));
  }

  static async start(lab: Pick<Lab, 'client'>, guestIp: string): Promise<ClientProcess> {
    const program = builtProgram('./client.js', import.meta.url);
    const child = lab.client.spawn(process.execPath, [program, guestIp], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const client = new ClientProcess(child);
    await bounded(client.#ready, READY_TIMEOUT_MS, 'no answer from Redis');
    return client;
  }

  get latest(): ConversationReport | undefined {
    return this.#latest;
  }

  mark(): void {
    this.#ask({ do: 'mark' });
  }

  /**
   * The longest time without an answer that ended after `fromMs`, once an answer has come after `untilMs` (both
   * CLOCK_MONOTONIC); undefined when none comes within `timeoutMs`.
   */
  async waited(fromMs: number, untilMs: number, timeoutMs: number): Promise<Wait | undefined> {
    this.#number += 1;
    const number = this.#number;
    const told = deferred<Wait | undefined>();
    this.#waits.set(number, told.resolve);
    this.#ask({ do: 'wait', question: { number, fromMs, untilMs } });
    const timer = setTimeout(() => told.resolve(undefined), timeoutMs);
    const wait = await told.promise;
    clearTimeout(timer);
    this.#waits.delete(number);
    return wait;
  }

  /** Ends the writes and reads everything back. */
  finish(moments: StoryMoments): Promise<ClientFinal> {
    this.#ask({ do: 'finish', moments });
    return bounded(this.#final, FINISH_TIMEOUT_MS, 'the client did not finish');
  }

  /** After `finish`: looks for every answered write in the Redis at `socket`. */
  audit(socket: string): Promise<{ lostWrites: number }> {
    this.#ask({ do: 'audit', socket });
    return bounded(this.#audited, FINISH_TIMEOUT_MS, 'the client did not read the disk’s Redis');
  }

  kill(): void {
    this.#child.removeAllListeners('exit');
    this.#child.kill('SIGKILL');
  }

  #ask(request: ClientRequest): void {
    this.#child.send(request);
  }

  #onMessage(message: ClientMessage): void {
    if ('ready' in message) this.#ready.resolve();
    else if ('final' in message) this.#final.resolve(message.final);
    else if ('audited' in message) this.#audited.resolve(message.audited);
    else if ('failed' in message) this.#fail(message.failed);
    else if ('waited' in message) this.#waits.get(message.number)?.(message.waited);
    else this.#latest = message.report;
  }

  #fail(why: string): void {
    const error = labError('LAB_CLIENT_FAILED', why);
    this.#ready.reject(error);
    this.#final.reject(error);
    this.#audited.reject(error);
  }
}

async function bounded<T>(what: Deferred<T>, timeoutMs: number, why: string): Promise<T> {
  const timer = setTimeout(() => what.reject(labError('LAB_CLIENT_FAILED', why)), timeoutMs);
  try {
    return await what.promise;
  } finally {
    clearTimeout(timer);
  }
}
