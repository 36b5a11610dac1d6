/**
 * The primary's session of one domain: attaches to the guest, holds its output, keeps a backup
 * current and, whatever fails, leaves the output held until it is certain that nobody took over.
 *
 * What happens is decided by the state table; this file executes its actions.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { deferred } from '../deferred.js';
import type { DiskSyncProgress } from '../diskmirror/disk-mirror.js';
import type { DiskRecords } from '../diskmirror/disk-record.js';
import { type Fault, isFault } from '../epoch/faults.js';
import { EpochRecords } from '../epoch/records.js';
import type { SyncProgress } from '../epoch/sync.js';
import { messageOf, UnderstudyError } from '../errors.js';
import type { Event } from '../failover/states.js';
import type { TermStore } from '../failover/term-store.js';
import type { HoldTrouble } from '../netbuffer/output-hold.js';
import { wireError } from '../wire/errors.js';
import type { PeerTrust } from '../wire/trust.js';
import { type BackupLink, connectBackup } from './backup-link.js';
import { type EpochReport, epochReport } from './epoch-report.js';
import { agentError } from './errors.js';
import type { GuestEnd } from './guest-end.js';
import { RECONNECT_DELAY_MS_MAX, RECONNECT_DELAY_MS_MIN } from './limits.js';
import { LOG_EVENTS, type Log } from './log.js';
import { SessionMachine } from './machine.js';
import { PrimaryGuest } from './primary-guest.js';
import { Protection } from './protection.js';
import type { PrimaryConfig } from './session-config.js';
import {
  type DomainStatus,
  type MirrorStatus,
  type Reason,
  reasonOf,
  summarise,
} from './status.js';

export interface SessionDependencies {
  log: Log;
  terms: TermStore;
  disks: DiskRecords;
  trust: PeerTrust;
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
  #diskSync: DomainStatus['diskSync'];
  /** Names this protection: epoch numbers of two sessions cannot be compared. */
  readonly #session = randomBytes(16).toString('hex');
  /** What the mirror does about the last attempt’s end. */
  #mirrorSettled: Promise<void> = Promise.resolve();
  #term = 0;
  #committed = 0;
  #pauseFailures = 0;
  /** Of the protection before this one; numbers never come back in one session. */
  #lastEpoch = 0;
  /** Devices have changed since the guest was attached to. */
  #stale = false;
  #holdTrouble: string | undefined;
  /** How often output was found unheld, and up to which of these a checkpoint covers what left. */
  #unheld = 0;
  #coveredUnheld = 0;

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
      checkpointNow: () => this.#coverExposed(),
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

  /** Begins a checkpoint at once; with `wait`, resolves when it is committed. */
  async checkpoint(wait: boolean): Promise<{ epoch?: number }> {
    const { domain } = this.config;
    const protection = this.#protection;
    const { state } = this.#machine;
    if (protection === undefined || (state !== 'protected' && state !== 'exposed')) {
      throw agentError('AGENT_NO_EPOCHS', `${domain} is ${state}`, { domain });
    }
    const committed = protection.checkpointNow();
    if (wait) return { epoch: await committed };
    // How it ends is in the status.
    committed.catch(() => undefined);
    return {};
  }

  epochs(count: number): EpochReport {
    return epochReport(this.config.domain, this.#records, count);
  }

  async failover(): Promise<void> {
    const { domain } = this.config;
    throw agentError('AGENT_NOT_BACKUP', `this host is the primary of ${domain}`, { domain });
  }

  status(): DomainStatus {
    const { config } = this;
    const { state, since, reason } = this.#machine;
    const guest = this.#guest;
    const linked = state === 'syncing' || state === 'protected' || state === 'exposed';
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
      policy: config.policy,
      consistency: config.consistency,
      ...(this.#sync === undefined ? {} : { sync: this.#sync }),
      ...(this.#records.epochs === 0
        ? {}
        : { epochs: summarise(this.#records, this.#committed, this.#pauseFailures) }),
      ...(guest === undefined || guest.disks.length === 0
        ? {}
        : { disks: [...guest.disks], mirror: mirrorStatus(guest) }),
      ...(this.#diskSync === undefined ? {} : { diskSync: this.#diskSync }),
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
    await this.#mirrorSettled;
    const guest = await this.#currentGuest();
    await this.#recordDisks(guest);
    const lastEpoch = this.#protection?.lastEpoch ?? this.#lastEpoch;
    const link = this.#link ?? (await this.#connect(guest));
    this.#link = undefined;
    if (this.#over || this.#stale) {
      // Asked to end before there was anything that could be told so.
      link.heartbeats.close();
      link.channel.destroy();
      if (this.#over) return;
      throw agentError('AGENT_DEVICES_CHANGED', 'while protection began', {
        domain: config.domain,
      });
    }
    this.#sync = undefined;
    this.#diskSync = undefined;
    const startedAtMs = performance.now();
    let disksDoneAtMs: number | undefined;
    this.#protection = new Protection(
      {
        link,
        guest,
        records: this.#records,
        term: this.#term,
        policy: config.policy,
        stagingBytes: config.stagingBytes,
        lastEpoch,
        consistency: config.consistency,
        heartbeat: config.heartbeat,
        faults: this.#faults,
      },
      {
        log: dependencies.log,
        onDisksSyncing: (progress) => this.#onDisksSyncing(progress, startedAtMs),
        onSyncing: (progress) => {
          disksDoneAtMs ??= performance.now();
          this.#onSyncing(progress, disksDoneAtMs);
        },
        onPauseFailed: () => {
          this.#pauseFailures += 1;
        },
        onCommitted: (epoch) => {
          this.#committed = epoch;
          if (this.#machine.state === 'syncing') this.#onFirstCommit();
        },
      },
    );
    await this.#protection.run();
  }

  #attach(): Promise<PrimaryGuest> {
    return PrimaryGuest.attach(this.config, this.#session, {
      log: this.dependencies.log,
      faults: this.#faults,
      onEnded: (end) => this.#onGuestEnded(end),
      onMirrorLost: (error) => void this.#onMirrorLost(error),
      onDevicesChanged: (what) => void this.#onDevicesChanged(what),
      onOutputWaits: (openEpoch) => this.#protection?.outputWaits(openEpoch),
      onInboundBegan: () => this.#protection?.inboundBegan(),
      onHoldFills: () => this.#protection?.holdFills(),
      onHoldTrouble: (tap, trouble) => this.#onHoldTrouble(tap, trouble),
    });
  }

  #connect(guest: PrimaryGuest): Promise<BackupLink> {
    const { config, dependencies } = this;
    return connectBackup({
      config,
      trust: dependencies.trust,
      term: this.#term,
      identity: guest.identity,
      description: guest.description,
      disks: guest.disks.map(({ name, bytes }) => ({ name, bytes })),
      session: this.#session,
      firstEpoch: (this.#protection?.lastEpoch ?? this.#lastEpoch) + 1,
      onSilent: (silentMs) => this.#protection?.suspect(silentMs),
      onStall: (lateMs) => dependencies.log.warn(LOG_EVENTS.stall, { lateMs }),
      onHeard: (sentAtMs) => this.#protection?.heard(sentAtMs),
    });
  }

  #onHoldTrouble(tap: string, { kind, reason }: HoldTrouble): void {
    this.#holdTrouble = `${tap}: ${kind}: ${reason}`;
    if (kind !== 'unheld') return;
    this.#unheld += 1;
    const because = agentError('AGENT_OUTPUT_UNHELD', `${tap}: ${reason}`);
    this.#raise('outputUnheld', reasonOf(because));
  }

  #onFirstCommit(): void {
    this.#raise('firstCommit');
    // It may be older than what left meanwhile.
    if (this.#unheld > this.#coveredUnheld) this.#raise('outputUnheld');
  }

  /** What left unheld is covered by the first checkpoint that begins now. */
  #coverExposed(): void {
    const unheld = this.#unheld;
    const covered = (): void => {
      if (unheld !== this.#unheld) return;
      this.#coveredUnheld = unheld;
      this.#raise('covered');
    };
    // Beside the table's queue: a commit may be long in coming. That it never came is the attempt's failure.
    void this.#protection?.checkpointNow().then(covered, () => undefined);
  }

  #onSyncing(progress: SyncProgress, startedAtMs: number): void {
    const seconds = Math.max(0.001, (performance.now() - startedAtMs) / 1000);
    this.#sync = { ...progress, bytesPerSecond: Math.round(progress.bytesShipped / seconds) };
  }

  #onDisksSyncing(progress: DiskSyncProgress, startedAtMs: number): void {
    const mirror = this.#guest?.mirror;
    const seconds = Math.max(0.001, (performance.now() - startedAtMs) / 1000);
    const bytesPerSecond = Math.round(progress.doneBytes / seconds);
    this.#diskSync = { ...progress, bytesPerSecond, bytesShipped: mirror?.shippedBytes ?? 0 };
  }

  /** Where the disks lie is known on this host also when nothing of us runs. */
  async #recordDisks(guest: PrimaryGuest): Promise<void> {
    const { domain, backup } = this.config;
    if (guest.disks.length === 0) return;
    await this.dependencies.disks.write({ domain, disks: [...guest.disks], peer: backup });
  }

  /**
   * The standby has other devices now, and what is new is neither held nor mirrored: the backup gives it
   * up, then protection starts anew with the guest as it is. Without a backup that confirms, output stays held.
   */
  async #onDevicesChanged(what: string): Promise<void> {
    const { log } = this.dependencies;
    const error = agentError('AGENT_DEVICES_CHANGED', what, { domain: this.config.domain });
    const reason = reasonOf(error);
    this.#stale = true;
    log.warn(LOG_EVENTS.devicesChanged, { what });
    if (!this.#machine.accepts('devicesChanged')) return;
    try {
      await this.#confirmedGoodbye();
      await this.#attempting;
      this.#forgetProtection();
      await this.#machine.raiseIfMeaningful('devicesChanged', reason);
    } catch (cause) {
      log.warn(LOG_EVENTS.backupLost, { reason: reasonOf(cause) });
      this.#protection?.fail(error);
      await this.#attempting;
      this.#raise('peerLost', reason);
    }
  }

  #forgetProtection(): void {
    this.#lastEpoch = this.#protection?.lastEpoch ?? this.#lastEpoch;
    this.#protection = undefined;
  }

  /** The guest as it is now: attached to again when devices have changed since. */
  async #currentGuest(): Promise<PrimaryGuest> {
    if (this.#stale) {
      this.#stale = false;
      const former = this.#guest;
      this.#guest = undefined;
      await former?.close();
    }
    this.#guest ??= await this.#attach();
    return this.#guest;
  }

  async #onMirrorLost(error: Error): Promise<void> {
    this.dependencies.log.warn(LOG_EVENTS.mirrorTrouble, { reason: reasonOf(error) });
    if ((await this.#guest?.vitalSign()) !== 'gone') this.#protection?.fail(error);
  }

  async #onAttemptFailed(error: unknown): Promise<void> {
    // The guest’s end is an event of its own, and the link is needed to tell the backup.
    if ((await this.#guest?.vitalSign()) === 'gone') return;
    this.#protection?.fail(error as Error);
    this.#mirrorSettled = this.#settleMirror(error as Error);
    if (this.#protection?.hasSaidGoodbye === true) return;
    // Ended by an event that was handled already (unprotect, the guest's end, a newer term).
    if (!this.#machine.accepts('peerLost')) return;
    const reason = reasonOf(error);
    this.dependencies.log.warn(LOG_EVENTS.backupLost, { reason });
    if (isSuperseded(error)) this.#end('superseded', reason);
    else if (this.#guest?.isHolding === true) this.#raise('peerLost', reason);
    else this.#end('syncFailed', reason);
  }

  /** While there is no backup, what it misses is remembered; or the mirrors are ended, to start anew. */
  async #settleMirror(error: Error): Promise<void> {
    try {
      await this.#guest?.mirror.linkLost(error);
    } catch (cause) {
      this.dependencies.log.warn(LOG_EVENTS.mirrorTrouble, { error: messageOf(cause) });
    }
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
    let delayMs = RECONNECT_DELAY_MS_MIN;
    while (this.#machine.state === 'degraded' && !signal.aborted) {
      try {
        const guest = this.#guest;
        // Its hold would not cover what was plugged in: an operator must unprotect it.
        if (guest === undefined || this.#stale) return;
        await requireAlive(guest);
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

/** A backup that is asked again gives up the checkpoint it has: only for a guest that lives. */
async function requireAlive(guest: PrimaryGuest): Promise<void> {
  const sign = await guest.vitalSign();
  if (sign !== 'alive') throw agentError('AGENT_GUEST_DIED', `the guest’s QEMU is ${sign}`);
}

function mirrorStatus({ mirror }: PrimaryGuest): MirrorStatus {
  const { stats, how, shippedBytes } = mirror;
  return {
    state: stats?.mode ?? 'off',
    how,
    shippedBytes,
    knownBytes: stats?.knownBytes ?? 0,
    logBytes: (stats?.memoryBytes ?? 0) + (stats?.spilledBytes ?? 0),
    rememberedBytes: stats?.rememberedBytes ?? 0,
    backPressureCount: stats?.backPressureCount ?? 0,
    backPressureMs: stats?.backPressureMs ?? 0,
  };
}

function isSuperseded(error: unknown): boolean {
  return error instanceof UnderstudyError && error.code === 'WIRE_STALE_TERM';
}
