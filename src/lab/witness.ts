/**
 * An observer at the client's place in the laboratory: what it sees is what the outside world
 * was told. It runs as a process in the client's network namespace (witness-proc.ts).
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { BeaconReport } from './beacon-log.js';
import { builtProgram } from './built-program.js';
import { labError } from './errors.js';
import { ASK_TIMEOUT_MS } from './limits.js';
import type { Place } from './place.js';

export interface MemstampReport {
  /** Pages rewritten since the start. */
  generation: bigint;
  /** Pages checked. */
  checks: bigint;
  /** Pages that did not hold what was last written to them: must be 0. */
  mismatches: bigint;
  uptimeS: number;
}

export type WitnessRequest =
  | { kind: 'beacon'; id: number }
  | { kind: 'memstamp'; id: number; address: string; timeoutMs: number };

export type WitnessReply =
  | { kind: 'ready' }
  | { kind: 'beacon'; id: number; report: BeaconReport }
  | { kind: 'memstamp'; id: number; line: string | undefined };

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
  async memstamp(address: string, timeoutMs = ASK_TIMEOUT_MS): Promise<MemstampReport> {
    const answer = await this.#request((id) => ({ kind: 'memstamp', id, address, timeoutMs }));
    const line = answer?.kind === 'memstamp' ? answer.line : undefined;
    const report = line === undefined ? undefined : parseMemstamp(line);
    if (report !== undefined) return report;
    throw labError(
      'LAB_GUEST_NO_ANSWER',
      `memstamp at ${address}: ${line === undefined ? `no answer in ${timeoutMs} ms` : `"${line}"`}`,
    );
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
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

/** "GENERATION CHECKS MISMATCHES UPTIME_S" as native/guest/memstamp.c prints it. Pure. */
export function parseMemstamp(line: string): MemstampReport | undefined {
  const fields = /^(\d{1,20}) (\d{1,20}) (\d{1,20}) (\d{1,12}\.\d{3})\n?$/.exec(line);
  if (fields === null) return undefined;
  const [, generation = '', checks = '', mismatches = '', uptime = ''] = fields;
  return {
    generation: BigInt(generation),
    checks: BigInt(checks),
    mismatches: BigInt(mismatches),
    uptimeS: Number(uptime),
  };
}
