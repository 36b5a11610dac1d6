/**
 * Goes through a schedule: waits until the domain is protected, puts one fault in, takes it back, and waits for proof that
 * the domain is protected again: both hosts say so, and the state of that moment is committed. Whatever
 * happens, everything that was put in is mended before this returns.
 */
import { messageOf, UnderstudyError } from '../errors.js';
import type { ChaosHost } from './chaos-host.js';
import { chaosError } from './errors.js';
import { kindOf, noteOf, type Step } from './faults.js';
import { inject, type Mend, mendAll } from './inject.js';
import { EVIDENCE_BYTES_MAX, PROTECTED_AGAIN_MS_MAX } from './limits.js';
import { type Dead, type HostView, protectedPair, runner, viewLine } from './protection.js';
import type { Stage } from './stage.js';
import { look, StateWatch } from './state-watch.js';
import { type ChaosFacts, type FaultRecord, longestSilenceMs } from './verdict.js';
import { waitMs } from './within.js';

export interface RunOptions {
  steps: readonly Step[];
  seed?: number;
  /** What repeats this run, for the report. */
  command: string;
  /** After a fault that was not survived, begin protection anew and go on; the verdict stays. */
  keepGoing: boolean;
  signal: AbortSignal;
}

/** Tells what happens, as it happens. */
export interface Narrator {
  line(text: string): void;
}

interface Pair {
  primary: string;
  backup: string;
  term: number;
}

export async function runChaos(
  stage: Stage,
  options: RunOptions,
  tell: Narrator,
): Promise<ChaosFacts> {
  const run = new Run(stage, options, tell);
  return run.toItsEnd();
}

class Run {
  readonly #records: FaultRecord[] = [];
  readonly #watch: StateWatch;
  readonly #startedAt = new Date().toISOString();
  #pending: { what: string; mend: Mend }[] = [];
  #firstTerm: number | undefined;
  #lastTerm = 0;
  #lostWrites = 0;
  #ackedWrites = 0;
  #overheardBefore = 0;

  constructor(
    private readonly stage: Stage,
    private readonly options: RunOptions,
    private readonly tell: Narrator,
  ) {
    this.#watch = new StateWatch(stage.hosts, stage.domain, stage.lookEveryMs);
  }

  async toItsEnd(): Promise<ChaosFacts> {
    const { steps, signal } = this.options;
    const unmended: string[] = [];
    try {
      for (const [index, step] of steps.entries()) {
        const record = await this.#turn(step, index + 1);
        if (signal.aborted) break;
        if (record.failure !== undefined && !(await this.#helped(record))) break;
      }
    } finally {
      unmended.push(...(await mendAll(this.#pending)));
      unmended.push(...(await mendAll(this.#everything())));
      await this.#watch.close();
    }
    return this.#facts(unmended);
  }

  /** One fault, from `protected` to `protected`. Never rejects: what went wrong is in the record. */
  async #turn(step: Step, number: number): Promise<FaultRecord> {
    const { fault, on, way, afterMs, lastsMs } = step;
    const note = noteOf(step);
    const record: FaultRecord = { number, fault, on, way, note, afterMs, lastsMs, host: '' };
    this.#records.push(record);
    try {
      await this.#protected(PROTECTED_AGAIN_MS_MAX);
      await waitMs(afterMs, this.options.signal);
      // Looked at again: the roles are those of the moment of the fault.
      const pair = await this.#protected(PROTECTED_AGAIN_MS_MAX);
      record.host = pair[on];
      record.termBefore = pair.term;
      this.tell.line(`${number}. ${note} (host ${record.host})`);
      const dead = await this.#strike(step, record);
      await this.#survive(step, record, dead);
    } catch (error) {
      const code = error instanceof UnderstudyError ? error.code : 'INTERNAL';
      record.failure = { code, message: messageOf(error) };
      if (code !== 'CHAOS_STOPPED') {
        record.evidence = await this.#evidence();
        this.tell.line(`   FAILED ${code}: ${messageOf(error)}`);
        for (const line of record.evidence) this.tell.line(`   ${line}`);
      }
    }
    return record;
  }

  /** The processes that died of it. */
  async #strike(step: Step, record: FaultRecord): Promise<Dead> {
    const host = this.#host(record.host);
    record.injectedAt = new Date().toISOString();
    const { mend, deadPids } = await inject(step, host, this.stage.domain);
    this.#pending.push({ what: `${step.fault} on host ${host.name}`, mend });
    await waitMs(step.lastsMs, this.options.signal);
    await mend();
    this.#pending = [];
    record.mendedAt = new Date().toISOString();
    return { host: host.name, pids: deadPids };
  }

  async #survive(step: Step, record: FaultRecord, dead: Dead): Promise<void> {
    const mendedAtMs = Date.parse(record.mendedAt ?? '');
    const injectedAtMs = Date.parse(record.injectedAt ?? '');
    const pair = await this.#protected(kindOf(step.fault).protectedWithinMs, dead);
    record.protectedAgainMs = Date.now() - mendedAtMs;
    record.termAfter = pair.term;
    const broken = [...(await this.#audit(record, injectedAtMs)), ...(await this.#overheard())];
    this.tell.line(survivedLine(record, pair));
    if (broken.length > 0) throw chaosError('CHAOS_PROMISE_BROKEN', broken.join('; '));
  }

  /** What of the answered writes is missing, in words. */
  async #audit(record: FaultRecord, injectedAtMs: number): Promise<string[]> {
    const { workload } = this.stage;
    if (workload === undefined) return [];
    const { ackedWrites, lostWrites, examples } = await workload.audit();
    record.ackedWrites = ackedWrites;
    record.lostWrites = lostWrites;
    record.silenceMs = longestSilenceMs(workload.slices, injectedAtMs, Date.now());
    this.#ackedWrites = ackedWrites;
    this.#lostWrites += lostWrites;
    if (lostWrites === 0) return [];
    return [`${lostWrites} answered writes are missing: ${JSON.stringify(examples)}`];
  }

  /** What was heard outside since the fault before and should not have been, in words. */
  async #overheard(): Promise<string[]> {
    const { beacon, voices } = await this.stage.heard();
    const now = (beacon?.forgotten ?? 0) + (voices?.forgotten ?? 0) + (voices?.heardOfBoth ?? 0);
    const more = now - this.#overheardBefore;
    this.#overheardBefore = now;
    if (more === 0) return [];
    return [`${more} packets were heard that the guest has forgotten: ${JSON.stringify(voices)}`];
  }

  /**
   * Resolves when both hosts say that the domain is protected and a checkpoint that was asked for after that is
   * committed: no state of before the fault can be taken for one of after it. @throws CHAOS_NOT_PROTECTED
   */
  async #protected(timeoutMs: number, dead?: Dead): Promise<Pair> {
    const deadlineMs = performance.now() + timeoutMs;
    for (;;) {
      const views = await this.#look();
      const pair = protectedPair(views, dead);
      if (pair !== undefined && (await this.#commits(pair.primary))) {
        const after = protectedPair(await this.#look(), dead);
        if (after?.primary === pair.primary) {
          this.#firstTerm ??= after.term;
          return after;
        }
      }
      if (performance.now() > deadlineMs) {
        const seconds = Math.round(timeoutMs / 1000);
        throw chaosError('CHAOS_NOT_PROTECTED', `not within ${seconds} s: ${viewLine(views)}`);
      }
      await waitMs(this.stage.lookEveryMs, this.options.signal);
    }
  }

  async #commits(primary: string): Promise<boolean> {
    try {
      await this.#host(primary).checkpoint(this.stage.domain);
      return true;
    } catch (error) {
      // Not protected after all: it is asked again until the bound.
      if (error instanceof UnderstudyError) return false;
      throw error;
    }
  }

  async #look(): Promise<HostView[]> {
    const views = await Promise.all(this.stage.hosts.map((host) => look(host, this.stage.domain)));
    this.#lastTerm = Math.max(this.#lastTerm, ...views.map(({ status }) => status?.term ?? 0));
    return views;
  }

  /** Whether to go on after a fault that was not survived. */
  async #helped(record: FaultRecord): Promise<boolean> {
    if (!this.options.keepGoing) return false;
    const { hosts, domain, unsafeFaults } = this.stage;
    await mendAll(this.#pending);
    await mendAll(this.#everything());
    this.#pending = [];
    if (record.failure?.code !== 'CHAOS_NOT_PROTECTED') return true;
    const name = runner(await this.#look());
    const from = hosts.find((host) => host.name === name);
    const backup = hosts.find((host) => host.name !== name);
    if (from === undefined || backup === undefined) return false;
    try {
      await from.protect(domain, backup, { faults: [...unsafeFaults] });
      this.tell.line(`   helped: protected from host ${from.name} by hand`);
      return true;
    } catch (error) {
      this.tell.line(`   protecting by hand failed: ${messageOf(error)}`);
    }
    return this.#rebooted(backup);
  }

  /** What an operator does next: the host that does not run the guest is started anew. */
  async #rebooted(host: ChaosHost): Promise<boolean> {
    try {
      await host.crash();
      await host.boot();
      await this.#protected(PROTECTED_AGAIN_MS_MAX);
      this.tell.line(`   helped: host ${host.name} was started anew`);
      return true;
    } catch (error) {
      this.tell.line(`   helping failed: ${messageOf(error)}`);
      return false;
    }
  }

  /** What both hosts say, and the end of their sessions’ logs. */
  async #evidence(): Promise<string[]> {
    const { hosts, domain } = this.stage;
    const said = await Promise.all(
      hosts.map(async (host) => {
        const status = await host.status(domain).catch(() => undefined);
        const logs = `tail -q -n 12 ${host.directories.run}/sessions/*.log ${host.directories.run}/agent.log 2>/dev/null`;
        const tail = await host.run(logs).catch(() => undefined);
        const end = (tail?.stdout ?? '').slice(-EVIDENCE_BYTES_MAX);
        return [`host ${host.name}: ${JSON.stringify(status)}`, ...end.split('\n')];
      }),
    );
    return said.flat().filter((line) => line !== '');
  }

  /** Every host as it should be, whatever was or was not put in. */
  #everything(): { what: string; mend: Mend }[] {
    return this.stage.hosts.flatMap((host) => [
      { what: `links of host ${host.name}`, mend: () => host.healLinks() },
      { what: `libvirtd of host ${host.name}`, mend: () => host.ensureLibvirtd() },
    ]);
  }

  #host(name: string): ChaosHost {
    const host = this.stage.hosts.find((one) => one.name === name);
    if (host === undefined) throw new RangeError(`no host ${name}`);
    return host;
  }

  async #facts(unmended: readonly string[]): Promise<ChaosFacts> {
    const { stage, options } = this;
    const { beacon, voices } = await stage.heard();
    const { workload } = stage;
    const watchFailed = this.#watch.failure;
    return {
      domain: stage.domain,
      ...(options.seed === undefined ? {} : { seed: options.seed }),
      command: options.command,
      unsafeFaults: stage.unsafeFaults,
      hosts: stage.hosts.map(({ name }) => name),
      startedAt: this.#startedAt,
      endedAt: new Date().toISOString(),
      planned: options.steps.length,
      records: this.#records,
      workload:
        workload === undefined
          ? undefined
          : {
              ackedWrites: this.#ackedWrites,
              lostWrites: this.#lostWrites,
              lostConnections: workload.lostConnections,
            },
      beacon,
      voices,
      promotions: this.#lastTerm - (this.#firstTerm ?? this.#lastTerm),
      unmended: [...unmended, ...(watchFailed === undefined ? [] : [`watch: ${watchFailed}`])],
      stopped: options.signal.aborted,
      changes: this.#watch.changes,
      slices: workload?.slices ?? [],
    };
  }
}

function survivedLine(record: FaultRecord, { primary, backup, term }: Pair): string {
  const { protectedAgainMs = 0, ackedWrites, lostWrites, silenceMs = 0 } = record;
  const writes =
    ackedWrites === undefined
      ? ''
      : `; ${ackedWrites} writes answered, ${lostWrites} lost, ${(silenceMs / 1000).toFixed(1)} s of silence`;
  const after = (protectedAgainMs / 1000).toFixed(1);
  return `   protected again after ${after} s: ${primary} → ${backup}, term ${term}${writes}`;
}
