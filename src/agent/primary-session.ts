/**
 * The primary's session of one domain: attaches to the guest, holds its output, keeps a backup
 * current and, whatever fails, leaves the output held until it is certain that nobody took over.
 *
 * What happens is decided by the state table; this file executes its actions.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { deferred } from '../deferred.js';
import { type Fault, isFault } from '../epoch/faults.js';
import { EpochRecords } from '../epoch/records.js';
import type { SyncProgress } from '../epoch/sync.js';
import { messageOf, UnderstudyError } from '../errors.js';
import type { Event } from '../failover/states.js';
import type { TermStore } from '../failover/term-store.js';
import { wireError } from '../wire/errors.js';
import { type BackupLink, connectBackup } from './backup-link.js';
import { agentError } from './errors.js';
import type { GuestEnd } from './guest-end.js';
import { RECONNECT_DELAY_MS_MAX, RECONNECT_DELAY_MS_MIN } from './limits.js';
import { LOG_EVENTS, type Log } from './log.js';
import { SessionMachine } from './machine.js';
import { PrimaryGuest } from './primary-guest.js';
import { Protection } from './protection.js';
import type { PrimaryConfig } from './session-config.js';
import { type DomainStatus, type Reason, reasonOf, summarise } from './status.js';

export interface SessionDependencies {
  log: Log;
  terms: TermStore;
  /** After every change of state. */
  onChanged: () => void;
}

export class PrimarySession {
  readonly #machine: SessionMachine;
  readonly #records = new EpochRecords();
  readonly #faults: ReadonlySet<Fault>;
  readonly #ended = deferred();
  #over = false;
  readonly #retry = new AbortController();
  #attempting: Promise<void> = Promise.resolve();
  #guest: PrimaryGuest | undefined;
  #link: BackupLink | undefined;
  #protection: Protection | undefined;
  #sync: DomainStatus['sync'];
  #term = 0;
  #committed = 0;
  #pauseFailures = 0;
  #holdTrouble: string | undefined;

  constructor(
    private readonly config: PrimaryConfig,
    private readonly dependencies: SessionDependencies,
  ) {
    this.#faults = new Set(config.faults.filter(isFault));
    const executors = {
      sync: () => this.#startAttempt(),
      reconnect: () => this.#startReconnecting(),
      releaseOutput: () => this.#guest?.endHold({ release: true }),
      dropOutput: () => this.#guest?.dropHeld(),
      stopGuest: () => this.#guest?.destroy(),
      sayYield: () => this.#protection?.sayYield('the guest’s QEMU is gone'),
      sayGoodbye: () => this.#sayGoodbye(),
    };
    const { log, onChanged } = dependencies;
    this.#machine = new SessionMachine('primary', executors, log, onChanged);
  }

  async prepare(): Promise<void> {
    const { domain } = this.config;
    const known = await this.dependencies.terms.read(domain);
    this.#term = Math.max(1, known.term);
    if (this.#faults.size > 0) {
      this.dependencies.log.warn(LOG_EVENTS.faultPlanted, { faults: [...this.#faults] });
    }
    await this.dependencies.terms.write({ domain, term: this.#term, ours: true });
  }

  /** Resolves when the session has nothing more to do; its last status says how it ended. */
  async run(): Promise<void> {
    await this.#machine.raise('protectAsked');
    await this.#ended.promise;
    this.#retry.abort();
    this.#protection?.fail(wireError('WIRE_CLOSED', 'the session ended'));
    await this.#attempting;
    await this.#guest?.close();
  }

  /** Ends protection. `AGENT_BACKUP_UNSURE` unless the backup confirms; `force` goes on without. */
  async unprotect(force: boolean): Promise<void> {
    if (this.#machine.accepts('unprotectAsked')) {
      if (!force && this.#guest?.isHolding === true) await this.#confirmedGoodbye();
      await this.#machine.raise('unprotectAsked');
    }
    this.#finish();
  }

  async failover(): Promise<void> {
    const { domain } = this.config;
    throw agentError('AGENT_NOT_BACKUP', `this host is the primary of ${domain}`, { domain });
  }

  status(): DomainStatus {
    const { config } = this;
    const { state, since, reason } = this.#machine;
    const guest = this.#guest;
    const linked = state === 'syncing' || state === 'protected';
    const heartbeat = linked ? this.#protection?.heartbeat : undefined;
    const warnings = [...(guest?.warnings ?? []), ...(this.#protection?.warnings ?? [])];
    if (this.#holdTrouble !== undefined) warnings.push(this.#holdTrouble);
    return {
      ...(this.#over ? { over: true as const } : {}),
      domain: config.domain,
      role: 'primary',
      state,
      ...(reason === undefined ? {} : { reason }),
      term: this.#term,
      peer: this.#protection?.peer ?? `${config.backup.host}:${config.backup.port}`,
      since: since.toISOString(),
      sessionPid: process.pid,
      ...(guest === undefined ? {} : { qemuPid: guest.qemuPid, pauseMode: guest.pause.mode }),
      policy: { name: 'fixed', intervalMs: config.intervalMs },
      ...(this.#sync === undefined ? {} : { sync: this.#sync }),
      ...(this.#records.epochs === 0
        ? {}
        : { epochs: summarise(this.#records, this.#committed, this.#pauseFailures) }),
      ...(guest?.holdSummary === undefined ? {} : { hold: guest.holdSummary }),
      ...(heartbeat === undefined ? {} : { heartbeat }),
      ...(warnings.length === 0 ? {} : { warnings }),
    };
  }

  /** The action `sync`: runs beside the table's queue; how it ends is an event of its own. */
  #startAttempt(): void {
    this.#attempting = this.#attempt().catch((error: unknown) => this.#onAttemptFailed(error));
  }

  async #attempt(): Promise<void> {
    const { config, dependencies } = this;
    this.#guest ??= await PrimaryGuest.attach(config, {
      log: dependencies.log,
      faults: this.#faults,
      onEnded: (end) => this.#onGuestEnded(end),
      onHoldTrouble: (reason) => {
        this.#holdTrouble = reason;
      },
    });
    const link = this.#link ?? (await this.#connect(this.#guest));
    this.#link = undefined;
    const startedAtMs = performance.now();
    this.#protection = new Protection(
      {
        link,
        guest: this.#guest,
        records: this.#records,
        term: this.#term,
        intervalMs: config.intervalMs,
        lastEpoch: this.#protection?.lastEpoch ?? 0,
        faults: this.#faults,
      },
      {
        log: dependencies.log,
        onSyncing: (progress) => this.#onSyncing(progress, startedAtMs),
        onPauseFailed: () => {
          this.#pauseFailures += 1;
        },
        onCommitted: (epoch) => {
          this.#committed = epoch;
          if (this.#machine.state === 'syncing') this.#raise('firstCommit');
        },
      },
    );
    await this.#protection.run();
  }

  #connect(guest: PrimaryGuest): Promise<BackupLink> {
    const { config, dependencies } = this;
    return connectBackup({
      config,
      term: this.#term,
      identity: guest.identity,
      description: guest.description,
      onSilent: (silentMs) => this.#protection?.suspect(silentMs),
      onStall: (lateMs) => dependencies.log.warn(LOG_EVENTS.stall, { lateMs }),
    });
  }

  #onSyncing(progress: SyncProgress, startedAtMs: number): void {
    const seconds = Math.max(0.001, (performance.now() - startedAtMs) / 1000);
    this.#sync = { ...progress, bytesPerSecond: Math.round(progress.bytesShipped / seconds) };
  }

  #onAttemptFailed(error: unknown): void {
    this.#protection?.fail(error as Error);
    // Ended by an event that was handled already (unprotect, the guest's end, a newer term).
    if (this.#machine.state !== 'syncing' && this.#machine.state !== 'protected') return;
    const reason = reasonOf(error);
    this.dependencies.log.warn(LOG_EVENTS.backupLost, { reason });
    if (isSuperseded(error)) this.#end('superseded', reason);
    else if (this.#guest?.isHolding === true) this.#raise('peerLost', reason);
    else this.#end('syncFailed', reason);
  }

  #startReconnecting(): void {
    this.#reconnect().catch((error: unknown) => {
      const reason = reasonOf(error);
      if (isSuperseded(error)) this.#end('superseded', reason);
      else this.dependencies.log.error(LOG_EVENTS.backupLost, { reason });
    });
  }

  /** Tries until a backup accepts, the state changes or a newer term is met (rejects with that). */
  async #reconnect(): Promise<void> {
    const { signal } = this.#retry;
    const guest = this.#guest;
    let delayMs = RECONNECT_DELAY_MS_MIN;
    while (guest !== undefined && this.#machine.state === 'degraded' && !signal.aborted) {
      try {
        this.#link = await this.#connect(guest);
        await this.#machine.raiseIfMeaningful('peerReturned');
        return;
      } catch (error) {
        if (isSuperseded(error)) throw error;
        this.dependencies.log.debug(LOG_EVENTS.backupLost, { error: messageOf(error), delayMs });
      }
      await Promise.race([delay(delayMs, undefined, { signal }), this.#ended.promise]);
      delayMs = Math.min(delayMs * 2, RECONNECT_DELAY_MS_MAX);
    }
  }

  #onGuestEnded(end: GuestEnd): void {
    const message = `the guest ${end.how}`;
    const reason = reasonOf(
      agentError(end.onPurpose ? 'AGENT_GUEST_GONE' : 'AGENT_GUEST_DIED', message, {
        domain: this.config.domain,
      }),
    );
    this.#end(end.onPurpose ? 'guestStopped' : 'guestCrashed', reason);
  }

  /** With no way to the backup there is nobody to tell; its own silence timer has decided long ago. */
  async #sayGoodbye(): Promise<void> {
    try {
      await this.#protection?.sayGoodbye('protection ended');
    } catch (error) {
      this.dependencies.log.warn(LOG_EVENTS.backupLost, { reason: reasonOf(error) });
    }
  }

  async #confirmedGoodbye(): Promise<void> {
    try {
      if (this.#protection === undefined) throw wireError('WIRE_CLOSED', 'no backup is connected');
      await this.#protection.sayGoodbye('unprotect');
    } catch (cause) {
      throw agentError('AGENT_BACKUP_UNSURE', messageOf(cause), {
        domain: this.config.domain,
        cause,
      });
    }
  }

  #finish(): void {
    this.#over = true;
    this.#ended.resolve();
  }

  #raise(event: Event, reason?: Reason): void {
    void this.#machine.raiseAndLog(event, reason);
  }

  /** Raises an event after whose actions the session is over. */
  #end(event: Event, reason?: Reason): void {
    void this.#machine.raiseAndLog(event, reason).finally(() => this.#finish());
  }
}

function isSuperseded(error: unknown): boolean {
  return error instanceof UnderstudyError && error.code === 'WIRE_STALE_TERM';
}
