/**
 * The primary's session of one domain: attaches to the guest, holds its output, keeps a backup
 * current and, whatever fails, leaves the output held until it is certain that nobody took over.
 *
 * What happens is decided by the state table; this file executes its actions.
 */
import { randomBytes } from 'node:crypto';
import { type Deferred, deferred } from '../../deferred.js';
import type { DiskRecords } from '../../diskmirror/disk-record.js';
import { type Fault, isFault } from '../../epoch/faults.js';
import { EpochRecords } from '../../epoch/records.js';
import { messageOf } from '../../errors.js';
import type { Event } from '../../failover/states.js';
import type { TermStore } from '../../failover/term-store.js';
import { wireError } from '../../wire/errors.js';
import type { PeerTrust } from '../../wire/trust.js';
import { agentError } from '../errors.js';
import { GOODBYE_FOR_GOOD, PATIENCE, SYNC_PATIENCE } from '../limits.js';
import { LOG_EVENTS, type Log } from '../log.js';
import { SessionMachine } from '../session/machine.js';
import type { PrimaryConfig } from '../session/session-config.js';
import { isSuperseded, newerTermOf, supersededBy } from '../session/superseded.js';
import { type DomainStatus, type Reason, reasonOf } from '../status.js';
import { type BackupLink, connectBackup } from './backup-link.js';
import { type EpochReport, epochReport } from './epoch-report.js';
import { Exposure } from './exposure.js';
import { takeGivenBack } from './given-back.js';
import { type GuestEnd, guestEndError } from './guest-end.js';
import { handOver } from './hand-over.js';
import { OwnTerm } from './own-term.js';
import { type GuestListener, PrimaryGuest } from './primary-guest.js';
import { primaryStatus } from './primary-status.js';
import { Protection } from './protection.js';
import { reattach } from './reattach.js';
import { reconnect } from './reconnect.js';
import { SyncMeter } from './sync-meter.js';

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
  #meter = new SyncMeter();
  /** Names this protection: epoch numbers of two sessions cannot be compared. */
  readonly #session = randomBytes(16).toString('hex');
  /** What the mirror does about the last attempt’s end. */
  #mirrorSettled: Promise<void> = Promise.resolve();
  readonly #own: OwnTerm;
  /** The backup certainly has nothing that it could go on from. */
  #certain = true;
  #handingOver: Deferred<void> | undefined;
  #committed = 0;
  #pauseFailures = 0;
  /** Of the protection before this one; numbers never come back in one session. */
  #lastEpoch = 0;
  /** Devices have changed since the guest was attached to. */
  #stale = false;
  /** Its connection to libvirt is dead. */
  #detached = false;
  readonly #exposure = new Exposure({
    onUnheld: (reason) => this.#raise('outputUnheld', reason),
    onCovered: () => this.#raise('covered'),
  });

  constructor(
    private readonly config: PrimaryConfig,
    private readonly dependencies: SessionDependencies,
  ) {
    this.#faults = new Set(config.faults.filter(isFault));
    this.#own = new OwnTerm(config.domain, dependencies.terms);
    const executors = {
      sync: () => this.#startAttempt(),
      reconnect: () => this.#startReconnecting(),
      releaseOutput: () => this.#guest?.endHold({ release: true }),
      dropOutput: () => this.#guest?.dropHeld(),
      stopGuest: () => this.#guest?.destroy(),
      // Beside the table's queue: a commit may be long in coming.
      checkpointNow: () => this.#exposure.coverBy(this.#protection?.checkpointNow()),
      sayYield: () => this.#protection?.sayYield('the guest’s QEMU is gone'),
      sayGoodbye: () => this.#sayGoodbye(),
      handOver: () => handOver(this.#guest, this.#protection),
      takeBack: () => this.#takeBack(),
      letRun: () => this.#guest?.letRun(),
    };
    const { log, onChanged } = dependencies;
    this.#machine = new SessionMachine('primary', executors, log, onChanged);
  }

  async prepare(): Promise<void> {
    await this.#own.look();
    if (this.#faults.size > 0) {
      this.dependencies.log.warn(LOG_EVENTS.faultPlanted, { faults: [...this.#faults] });
    }
  }

  /** Resolves when the session has nothing more to do; its last status says how it ended. */
  async run(): Promise<void> {
    await this.#machine.raise(
      this.config.origin === 'takeover' ? 'reprotectAsked' : 'protectAsked',
    );
    await this.#ended.promise;
    this.#retry.abort();
    this.#protection?.fail(wireError('WIRE_CLOSED', 'the session ended'));
    // A libvirt call of the attempt may wait for a start of the domain, which waits for the term (qemu.d hook).
    await this.#settleTerm();
    await this.#attempting;
    await this.#settleTerm();
    await this.#guest?.close();
  }

  /** Ends protection. `AGENT_BACKUP_UNSURE` unless the backup confirms; `force` goes on without. */
  unprotect(force: boolean): Promise<void> {
    return this.#endOnRequest('unprotectAsked', force);
  }

  /** The same, but how the domain is protected stays known on both hosts. */
  pause(force: boolean): Promise<void> {
    return this.#endOnRequest('pauseAsked', force);
  }

  /**
   * Gives the domain to the backup, nothing lost; resolves when it runs there. Otherwise it runs here, held until
   * it is known that it does not run there as well. @throws FAILOVER_NOT_NOW, AGENT_SWITCHOVER_FAILED
   */
  async switchover(): Promise<void> {
    const handedOver = deferred();
    if (this.#machine.accepts('switchoverAsked')) this.#handingOver = handedOver;
    await Promise.all([this.#machine.raise('switchoverAsked'), handedOver.promise]);
  }

  /** The other host acted on `term`: the copy here ends. */
  async superseded(term: number): Promise<void> {
    if (term <= this.#own.term || !this.#machine.accepts('superseded')) return;
    await this.#own.lose(term);
    this.#end('superseded', reasonOf(supersededBy(term)));
    await this.#ended.promise;
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
    return primaryStatus({
      config: this.config,
      machine: this.#machine,
      over: this.#over,
      term: this.#own.term,
      guest: this.#guest,
      protection: this.#protection,
      records: this.#records,
      committed: this.#committed,
      pauseFailures: this.#pauseFailures,
      sync: this.#meter.memory,
      diskSync: this.#meter.disks,
      holdTrouble: this.#exposure.trouble,
    });
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
    if (this.#over && this.#link === undefined) return;
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
    const meter = new SyncMeter();
    this.#meter = meter;
    this.#protection = new Protection(
      {
        link,
        guest,
        records: this.#records,
        term: this.#own.term,
        policy: config.policy,
        stagingBytes: config.stagingBytes,
        lastEpoch,
        consistency: config.consistency,
        heartbeat: config.heartbeat,
        faults: this.#faults,
      },
      {
        log: dependencies.log,
        onDisksSyncing: (progress) => meter.onDisks(progress, guest.mirror.shippedBytes),
        onSyncing: (progress) => meter.onMemory(progress),
        onPauseFailed: () => {
          this.#pauseFailures += 1;
        },
        onCommitted: (epoch) => {
          this.#committed = epoch;
          if (this.#machine.accepts('firstCommit')) this.#onFirstCommit();
        },
      },
    );
    await this.#protection.run();
  }

  #guestListener(): GuestListener {
    return {
      log: this.dependencies.log,
      faults: this.#faults,
      onEnded: (end) => this.#onGuestEnded(end),
      onMirrorLost: (error) => void this.#onMirrorLost(error),
      onDevicesChanged: (what) => void this.#onDevicesChanged(what),
      onOutputWaits: (openEpoch) => this.#protection?.outputWaits(openEpoch),
      onInboundBegan: () => this.#protection?.inboundBegan(),
      onHoldFills: () => this.#protection?.holdFills(),
      onHoldTrouble: (tap, trouble) => this.#exposure.onTrouble(tap, trouble),
      onLibvirtLost: (reason) => this.#onLibvirtLost(reason),
    };
  }

  async #connect(guest: PrimaryGuest): Promise<BackupLink> {
    const { config, dependencies } = this;
    this.#certain = false;
    await this.#own.cover();
    return connectBackup({
      config,
      trust: dependencies.trust,
      log: dependencies.log,
      term: this.#own.term,
      identity: guest.identity,
      description: guest.description,
      disks: guest.disks.map(({ name, bytes }) => ({ name, bytes })),
      session: this.#session,
      firstEpoch: (this.#protection?.lastEpoch ?? this.#lastEpoch) + 1,
      onSilent: (silentMs) => this.#protection?.suspect(silentMs),
      onHeard: (sentAtMs) => this.#protection?.heard(sentAtMs),
      patience: () => (this.#machine.accepts('firstCommit') ? SYNC_PATIENCE : PATIENCE),
    });
  }

  #onFirstCommit(): void {
    this.#raise('firstCommit');
    this.#exposure.onFirstCommit();
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
      await this.#confirmedGoodbye('devices changed');
      await this.#attempting;
      this.#lastEpoch = this.#protection?.lastEpoch ?? this.#lastEpoch;
      this.#protection = undefined;
      await this.#machine.raiseIfMeaningful('devicesChanged', reason);
    } catch (cause) {
      log.warn(LOG_EVENTS.backupLost, { reason: reasonOf(cause) });
      this.#protection?.fail(error);
      await this.#attempting;
      this.#raise('peerLost', reason);
    }
  }

  /** The guest as it is now: attached to again when devices have changed since. */
  async #currentGuest(): Promise<PrimaryGuest> {
    if (this.#stale) {
      this.#stale = false;
      const former = this.#guest;
      this.#guest = undefined;
      await former?.close();
    }
    this.#guest ??= await PrimaryGuest.attach(this.config, this.#session, this.#guestListener());
    return this.#guest;
  }

  /** A new libvirtd knows the guest as the old one did: the guest runs on, held, and is attached to again. */
  #onLibvirtLost(reason: string): void {
    this.#detached = true;
    const error = agentError('AGENT_LIBVIRT_LOST', reason, { domain: this.config.domain });
    if (this.#guest?.isHolding === true) {
      this.#protection?.stop();
      this.#raise('libvirtLost', reasonOf(error));
    } else this.#protection?.fail(error);
  }

  async #attachedGuest(): Promise<PrimaryGuest | undefined> {
    const former = this.#guest;
    if (former === undefined || !this.#detached) return former;
    await this.#attempting;
    const guest = await reattach(former, {
      config: this.config,
      session: this.#session,
      term: this.#own.term,
      trust: this.dependencies.trust,
      listener: this.#guestListener(),
    });
    if (guest === undefined) this.#onGuestEnded({ how: 'died', onPurpose: false });
    else {
      this.#guest = guest;
      this.#detached = false;
    }
    return guest;
  }

  async #onMirrorLost(error: Error): Promise<void> {
    // Of a job that cannot be asked for nothing is known.
    if (this.#detached) return;
    this.dependencies.log.warn(LOG_EVENTS.mirrorTrouble, { reason: reasonOf(error) });
    if ((await this.#guest?.vitalSign()) !== 'gone') this.#protection?.fail(error);
  }

  async #onAttemptFailed(error: unknown): Promise<void> {
    // What fails without libvirt says nothing of the backup.
    if (this.#detached && !isSuperseded(error) && this.#guest?.isHolding === true) return;
    // The guest’s end is an event of its own, and the link is needed to tell the backup.
    if ((await this.#guest?.vitalSign()) === 'gone') return;
    this.#protection?.fail(error as Error);
    this.#mirrorSettled = this.#settleMirror(error as Error);
    if (this.#protection?.hasSaidGoodbye === true) return;
    // Ended by an event that was handled already (unprotect, the guest's end, a newer term).
    if (!this.#machine.accepts('peerLost')) return;
    const reason = reasonOf(error);
    this.dependencies.log.warn(LOG_EVENTS.backupLost, { reason });
    const holding = this.#guest?.isHolding === true;
    if (isSuperseded(error) && holding) await this.#lose(error, reason);
    else if (this.#machine.state === 'switching-over') this.#handOverFailed(reason);
    else if (holding) this.#raise('peerLost', reason);
    else {
      // Nothing was sent that anybody could go on from. A newer term over there is for the agent to look into.
      this.#certain = !isSuperseded(error);
      if (isSuperseded(error)) await this.#own.learn(newerTermOf(error));
      this.#end('syncFailed', reason);
    }
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
    const { config } = this;
    const { log, trust } = this.dependencies;
    const reconnecting = reconnect({
      log,
      signal: this.#retry.signal,
      // Its hold would not cover what was plugged in: an operator must unprotect it.
      guest: async () =>
        this.#machine.state === 'degraded' && !this.#stale ? this.#attachedGuest() : undefined,
      connect: async (guest) => {
        this.#link = await this.#connect(guest);
        // One that libvirt was lost to is still connected, and heard.
        this.#protection?.fail(wireError('WIRE_CLOSED', 'protection begins anew'));
        await this.#machine.raiseIfMeaningful('peerReturned');
      },
      onSuperseded: (error) => takeGivenBack(error, this.#own, { config, trust }),
    });
    // Beside the table's queue: a backup may be long in coming.
    reconnecting.catch((error: unknown) => this.#lose(error, reasonOf(error)));
  }

  #onGuestEnded(end: GuestEnd): void {
    const reason = reasonOf(guestEndError(end, this.config.domain));
    this.#end(end.onPurpose ? 'guestStopped' : 'guestCrashed', reason);
  }

  /** With no way to the backup there is nobody to tell; its own silence timer has decided long ago. */
  async #sayGoodbye(): Promise<void> {
    try {
      await this.#protection?.sayGoodbye('protection ended');
      this.#certain = true;
    } catch (error) {
      this.dependencies.log.warn(LOG_EVENTS.backupLost, { reason: reasonOf(error) });
    }
  }

  async #confirmedGoodbye(reason: string): Promise<void> {
    try {
      if (this.#protection === undefined) throw wireError('WIRE_CLOSED', 'no backup is connected');
      await this.#protection.sayGoodbye(reason);
    } catch (cause) {
      throw agentError('AGENT_BACKUP_UNSURE', messageOf(cause), {
        domain: this.config.domain,
        cause,
      });
    }
  }

  async #endOnRequest(event: 'unprotectAsked' | 'pauseAsked', force: boolean): Promise<void> {
    if (this.#machine.accepts(event)) {
      const reason = event === 'unprotectAsked' ? GOODBYE_FOR_GOOD : 'pause';
      if (!force && this.#guest?.isHolding === true) await this.#confirmedGoodbye(reason);
      await this.#machine.raise(event);
      this.#certain = true;
    }
    this.#finish();
  }

  /** The backup’s last word is known only if it refused. */
  #handOverFailed(reason: Reason): void {
    this.#raise(this.#protection?.wasRefused === true ? 'switchoverRefused' : 'peerLost', reason);
    const { domain } = this.config;
    this.#handingOver?.reject(agentError('AGENT_SWITCHOVER_FAILED', reason.message, { domain }));
  }

  async #takeBack(): Promise<void> {
    await this.#own.takeAfter(this.#own.term + 1);
    await this.#guest?.letRun();
  }

  async #lose(error: unknown, reason: Reason): Promise<void> {
    await this.#own.lose(newerTermOf(error));
    this.#end('superseded', reason);
  }

  /** Once protection ended for certain, the domain may be started here as if there were no other host. */
  async #settleTerm(): Promise<void> {
    const { state } = this.#machine;
    if (this.#certain && (state === 'unprotected' || state === 'paused')) await this.#own.uncover();
  }

  #finish(): void {
    if (this.#machine.state === 'fenced') this.#handingOver?.resolve();
    else this.#handingOver?.reject(agentError('AGENT_SWITCHOVER_FAILED', 'protection ended'));
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
