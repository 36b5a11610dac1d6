/**
 * The backup's session of one domain: keeps the replica, listens for the primary's heartbeats, and
 * takes over when the state table says so. It goes on answering afterwards: whoever comes with an
 * older term is told that it is superseded.
 */
import { monotonicMs } from '../../clock.js';
import { deferred } from '../../deferred.js';
import { messageOf } from '../../errors.js';
import { type Arbiter, type GrantReason, staticArbiter } from '../../failover/arbiter.js';
import { silenceError } from '../../failover/heartbeat-paths.js';
import type { Event } from '../../failover/states.js';
import { failoverError } from '../../failover/table.js';
import { type Hypervisor, openHypervisor } from '../../hypervisor/connection.js';
import type { FrameChannel } from '../../wire/channel.js';
import { wireError } from '../../wire/errors.js';
import type { Frame } from '../../wire/frames.js';
import { decodeMessage, PROTOCOL_VERSIONS } from '../../wire/messages.js';
import { agentError } from '../errors.js';
import { GOODBYE_FOR_GOOD } from '../limits.js';
import { LOG_EVENTS } from '../log.js';
import type { SessionDependencies } from '../primary/primary-session.js';
import { pathWarnings } from '../session/heartbeat-notes.js';
import { SessionMachine } from '../session/machine.js';
import type { BackupConfig } from '../session/session-config.js';
import { type DomainStatus, type Reason, reasonOf, type Takeover } from '../status.js';
import { BackupPeer } from './backup-peer.js';

export class BackupSession {
  readonly #machine: SessionMachine;
  readonly #ended = deferred();
  #over = false;
  readonly #arbiter: Arbiter = staticArbiter;
  #hypervisor: Hypervisor | undefined;
  #peer: BackupPeer | undefined;
  #term = 0;
  #decidedAtMs = 0;
  #cause: GrantReason = 'peerLost';
  /** The primary hands the guest over, and waits for an answer. */
  #planned = false;
  #takeover: Takeover | undefined;

  constructor(
    private readonly config: BackupConfig,
    private readonly dependencies: SessionDependencies,
  ) {
    const executors = {
      askArbiter: () => this.#askArbiter(),
      promote: () => this.#promote(),
      destroyStandby: () => this.#dropPeer(),
      keepDefinition: () => this.#peer?.keepDefinition(),
      sayPromoted: () => this.#peer?.saySuperseded(this.#term),
    };
    const { log, onChanged } = dependencies;
    this.#machine = new SessionMachine('backup', executors, log, onChanged);
  }

  /** What must be there before a primary may say HELLO. */
  async prepare(): Promise<void> {
    const { config, dependencies } = this;
    this.#term = (await dependencies.terms.read(config.domain)).term;
    this.#hypervisor = await openHypervisor({
      uri: config.libvirtUri,
      onClosed: (reason) => this.#onLibvirtLost(reason),
    });
  }

  /** Resolves when the session has nothing more to do. */
  async run(): Promise<void> {
    await this.#ended.promise;
    await this.#hypervisor?.close();
  }

  /** A primary's connection said HELLO. Throws a typed error to be sent as the refusal. */
  async acceptCheckpoints(channel: FrameChannel, hello: Frame): Promise<void> {
    const message = decodeMessage('helloCheckpoints', hello.payload);
    await this.#acceptTerm(hello.term);
    if (this.#hypervisor === undefined) throw wireError('WIRE_UNEXPECTED', 'not ready');
    await this.#machine.raise(this.#peer === undefined ? 'protectAsked' : 'peerReturned');
    try {
      this.#peer = await BackupPeer.begin(this.#hypervisor, channel, message, {
        term: hello.term,
        log: this.dependencies.log,
        runDir: this.config.runDir,
        disks: { records: this.dependencies.disks, replicaDir: this.config.replicaDir },
        onFirstCommit: () => this.#raise('firstCommit'),
        onGone: (error) => this.#onPeerGone(error),
        onSilent: (silentMs) => this.#onSilent('peerLost', reasonOf(silenceError(silentMs))),
        onStall: (lateMs) => this.dependencies.log.warn(LOG_EVENTS.stall, { lateMs }),
        onYield: (planned) => this.#onYield(planned),
        onGoodbye: (reason) => this.#onGoodbye(channel, reason),
        onStandbyDied: (reason) => this.#onStandbyDied(reason),
        onDisksFailed: (error) => void this.#giveUp(reasonOf(error)),
      });
    } catch (error) {
      await this.#machine.raiseIfMeaningful('peerLost', reasonOf(error));
      throw error;
    }
  }

  async acceptHeartbeat(channel: FrameChannel, hello: Frame): Promise<void> {
    const { path } = decodeMessage('helloHeartbeat', hello.payload);
    await this.#acceptTerm(hello.term);
    if (this.#peer === undefined) {
      const why = this.#machine.reason?.message ?? 'heartbeat before HELLO';
      throw wireError('WIRE_UNEXPECTED', why);
    }
    await channel.sendMessage(
      'welcome',
      'welcome',
      { version: PROTOCOL_VERSIONS[0] },
      { term: this.#term },
    );
    this.#peer.heartbeats.use(path, channel);
  }

  async unprotect(): Promise<void> {
    await this.#machine.raiseIfMeaningful('unprotectAsked');
    this.#finish();
  }

  async pause(): Promise<never> {
    throw this.#notPrimary();
  }

  async switchover(): Promise<never> {
    throw this.#notPrimary();
  }

  /** A backup learns of newer terms from its primary. */
  async superseded(): Promise<void> {
    await this.unprotect();
  }

  #notPrimary() {
    const { domain } = this.config;
    return agentError('AGENT_NOT_PRIMARY', `this host is the backup of ${domain}`, { domain });
  }

  /** The takeover, because an operator asked. Resolves when the guest runs here. */
  async failover(): Promise<void> {
    this.#decide('failoverAsked');
    await this.#machine.raise('failoverAsked');
    if (this.#machine.state !== 'promoted') {
      const { message } = this.#machine.reason ?? { message: 'the takeover failed' };
      throw failoverError('FAILOVER_NOT_NOW', message, { domain: this.config.domain });
    }
  }

  async checkpoint(): Promise<never> {
    return this.epochs();
  }

  epochs(): never {
    const { domain } = this.config;
    throw agentError('AGENT_NO_EPOCHS', `this host is the backup of ${domain}`, { domain });
  }

  status(): DomainStatus {
    const { state, since, reason } = this.#machine;
    const peer = this.#peer;
    const warnings = pathWarnings(peer?.heartbeats.summary);
    return {
      ...(this.#over ? { over: true as const } : {}),
      domain: this.config.domain,
      role: 'backup',
      state,
      ...(reason === undefined ? {} : { reason }),
      term: this.#term,
      since: since.toISOString(),
      sessionPid: process.pid,
      ...(peer === undefined
        ? {}
        : {
            peer: peer.address,
            qemuPid: peer.qemuPid,
            heartbeat: peer.heartbeats.summary,
            consistency: peer.consistency,
            replica: peer.summary,
            ...(peer.diskStatus === undefined ? {} : { disks: peer.diskStatus }),
          }),
      ...(warnings.length === 0 ? {} : { warnings }),
      ...(this.#takeover === undefined ? {} : { takeover: this.#takeover }),
    };
  }

  /** Refuses an older term; a newer or equal one is written down before anything is done under it. */
  async #acceptTerm(term: number): Promise<void> {
    const { domain } = this.config;
    const { terms } = this.dependencies;
    const known = await terms.read(domain);
    const runsHere = this.#machine.state === 'promoting' || this.#machine.state === 'promoted';
    if (term < known.term || runsHere || (known.ours && term === known.term)) {
      throw wireError('WIRE_STALE_TERM', `term ${term}; this host acted on ${this.#term}`);
    }
    if (term > known.term) await terms.write({ domain, term, ours: false });
    this.#term = term;
  }

  #onPeerGone(error: Error | undefined): void {
    const reason = reasonOf(error ?? wireError('WIRE_CLOSED', 'the primary hung up'));
    this.dependencies.log.warn(LOG_EVENTS.connectionRefused, { reason });
    // With a committed checkpoint only silence on every path counts, not one closed connection.
    if (this.#machine.state !== 'syncing') return;
    this.#end('peerLost', reason);
  }

  #onSilent(cause: GrantReason, reason?: Reason): void {
    if (!this.#machine.accepts(cause)) return;
    this.#decide(cause);
    const ends = this.#machine.state === 'syncing';
    if (ends) this.#end(cause, reason);
    else this.#raise(cause);
  }

  #decide(cause: GrantReason): void {
    this.#cause = cause;
    this.#decidedAtMs = monotonicMs();
  }

  #onYield(planned: boolean): void {
    this.#planned = planned;
    this.#onSilent('peerYielded');
  }

  async #onGoodbye(channel: FrameChannel, reason: string): Promise<void> {
    await this.#machine.raiseIfMeaningful('unprotectAsked');
    if (reason === GOODBYE_FOR_GOOD) await this.#forgetDomain();
    await channel.sendMessage('goodbye', 'goodbye', { reason: 'done' }, { term: this.#term });
    channel.end();
    this.#finish();
  }

  #onStandbyDied(why: string): void {
    if (this.#machine.state === 'promoted') {
      this.#end('guestStopped', undefined);
      return;
    }
    const reason = reasonOf(agentError('AGENT_STANDBY_DIED', why, { domain: this.config.domain }));
    void this.#giveUp(reason);
  }

  /** A standby that cannot be spoken to cannot take over; what was promoted runs without us. */
  #onLibvirtLost(reason: string): void {
    this.dependencies.log.error(LOG_EVENTS.libvirtClosed, { reason });
    const { domain } = this.config;
    if (!this.#machine.accepts('standbyDied')) return;
    void this.#giveUp(reasonOf(agentError('AGENT_LIBVIRT_LOST', reason, { domain })));
  }

  /** Without a whole replica this host cannot take over. */
  async #giveUp(reason: Reason): Promise<void> {
    try {
      await this.#peer?.sayFailed(reason);
    } catch (error) {
      // The closed connection tells as much.
      this.dependencies.log.warn(LOG_EVENTS.connectionRefused, { error: messageOf(error) });
    }
    this.#end('standbyDied', reason);
  }

  async #askArbiter(): Promise<void> {
    const { domain } = this.config;
    const request = { domain, role: 'backup', reason: this.#cause, term: this.#term } as const;
    try {
      const grant = await this.#arbiter.ask(request);
      if ('refused' in grant) throw failoverError('FAILOVER_NO_GRANT', grant.refused, { domain });
      await this.dependencies.terms.write({ domain, term: grant.term, ours: true });
      this.#term = grant.term;
    } catch (error) {
      this.#raise('promoteFailed', reasonOf(error));
      throw error;
    }
  }

  async #promote(): Promise<void> {
    const peer = this.#peer;
    try {
      if (peer === undefined) throw wireError('WIRE_UNEXPECTED', 'no replica to promote');
      // Output that does not wait ends by itself, some time after the primary was last answered.
      if (this.#cause === 'failoverAsked') await peer.outlastLease();
      const outcome = await peer.promote(this.#term);
      this.#takeover = {
        ...outcome,
        cause: this.#planned ? 'switchover' : this.#cause,
        term: this.#term,
        decidedAtMs: this.#decidedAtMs,
        promoteMs: outcome.resumedAtMs - this.#decidedAtMs,
      };
      this.dependencies.log.warn(LOG_EVENTS.takeover, this.#takeover);
      this.#raise('promoteDone');
    } catch (error) {
      const reason = reasonOf(error);
      this.dependencies.log.error(LOG_EVENTS.takeover, { reason });
      await this.#giveBack(reason);
      this.#end('promoteFailed', reason);
    }
  }

  /** The domain has no other host any more that could run it: it may be started on this one. */
  async #forgetDomain(): Promise<void> {
    const { domain } = this.config;
    const { terms } = this.dependencies;
    await terms.write({ domain, term: this.#term, ours: false, startable: true });
  }

  /** The guest may go on where it was, once nothing of it is here; the term is given back before that is said. */
  async #giveBack(reason: Reason): Promise<void> {
    const { domain } = this.config;
    const { terms } = this.dependencies;
    try {
      await this.#peer?.destroy();
      await terms.write({ domain, term: this.#term, ours: false });
      await this.#peer?.sayFailed(reason);
      this.#peer = undefined;
    } catch (error) {
      this.dependencies.log.error(LOG_EVENTS.teardown, { error: messageOf(error) });
    }
  }

  async #dropPeer(): Promise<void> {
    const peer = this.#peer;
    this.#peer = undefined;
    await peer?.destroy();
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
