/**
 * Keeps one domain of this host as its operator wants it: owns the domain's session and its durable record. What
 * changes either is done one at a time; after every change of anything it looks whether there is something to do
 * (src/failover/recovery.ts), and tries that again, with back-off, until it is done.
 */
import { isDeepStrictEqual } from 'node:util';
import { messageOf } from '../../errors.js';
import { nextStep, type Step } from '../../failover/recovery.js';
import type { State } from '../../failover/states.js';
import { rowFor } from '../../failover/table.js';
import { inspectDomain } from '../../hypervisor/inspect.js';
import { restoreTap } from '../../netbuffer/backends.js';
import type { Message } from '../../wire/messages.js';
import type { ProtectRequest } from '../control/protect-request.js';
import { agentError } from '../errors.js';
import type { Host } from '../host.js';
import { SESSION_END_TIMEOUT_MS } from '../limits.js';
import { LOG_EVENTS } from '../log.js';
import type { FoundSession } from '../session/found-sessions.js';
import type { SessionConfig } from '../session/session-config.js';
import type { SessionEnd } from '../session/session-life.js';
import { SessionProcess } from '../session/session-process.js';
import type { DomainStatus } from '../status.js';
import { Attention } from './attention.js';
import type { SessionsHere } from './copies.js';
import { type DomainRecord, type Settings, settingsOf } from './domain-record.js';
import { domainStatus } from './domain-status.js';
import { askSwitchover } from './peer-agent.js';
import { claimDomain, forgetStopped, releaseTerm, yieldDomain } from './recovery-steps.js';
import { askOtherHost, promotionIsOpen, situationHere } from './situation.js';

/** States in which a primary session only has its last actions to finish. */
const OVER: ReadonlySet<State> = new Set(['unprotected', 'paused', 'fenced', 'failed']);
/** States of a backup session in which the domain may come to run here. */
const MAY_TAKE_OVER: ReadonlySet<State> = new Set(['protected', 'promoting', 'promoted']);

/** What another host's primary says of itself when it asks for a backup session. */
export interface PrimaryHost {
  peer: { host: string; port: number };
  settings: Settings;
  peerAddresses: string[];
  ownAddresses: string[];
}

export class DomainKeeper {
  #session: SessionProcess | undefined;
  #tail: Promise<void> = Promise.resolve();
  #step: Step | undefined;
  readonly #attention: Attention;

  constructor(
    readonly domain: string,
    private readonly host: Host,
  ) {
    this.#attention = new Attention(
      () => this.#exclusive(() => this.#recover()),
      (error) => host.log.warn(LOG_EVENTS.recovery, { domain, error: messageOf(error) }),
    );
  }

  /** The session goes on; the domain is looked at no more. */
  close(): void {
    this.#attention.close();
  }

  adopt(found: FoundSession): void {
    this.#session = SessionProcess.adopt(found, (end) => this.#onEnded(session, end));
    const session = this.#session;
  }

  /** Something may have changed: what there is to do is done in the background. */
  look(): void {
    this.#attention.lookSoon();
  }

  protect(request: ProtectRequest): Promise<DomainStatus> {
    const { domain } = this;
    return this.#exclusive(async () => {
      await this.#makeRoom();
      const known = await this.host.records.read(domain);
      const record: DomainRecord = {
        domain,
        role: 'primary',
        wanted: 'protected',
        established: known?.role === 'primary' && known.established,
        endedOnPurpose: false,
        peer: request.backup,
        peerAddresses: request.heartbeatHosts,
        ...(request.ownAddresses === undefined ? {} : { ownAddresses: request.ownAddresses }),
        settings: settingsOf(request),
      };
      await this.host.records.write(record);
      const session = await this.#startPrimary(record, 'start');
      return session.status();
    });
  }

  unprotect(force: boolean): Promise<DomainStatus> {
    return this.#exclusive(async () => {
      const session = this.#session;
      if (session !== undefined && !session.hasEnded) {
        if (!force) await this.#requireNobodysBackup(session);
        const status = await session.request('/v1/unprotect', { force });
        await this.host.records.remove(this.domain);
        return status;
      }
      const last = await this.status();
      if (last === undefined) throw this.#notProtected('has no session here');
      if (last.role === 'primary') await this.#endWithoutSession(force);
      await this.host.records.remove(this.domain);
      this.#session = undefined;
      this.#step = undefined;
      return { ...last, state: 'unprotected' };
    });
  }

  /** Protection ends until `resume`; how the domain is protected stays known. */
  pause(force: boolean): Promise<DomainStatus> {
    return this.#exclusive(async () => {
      const record = await this.#requireRecord('primary');
      if (record.wanted === 'paused' && this.#session?.hasEnded !== false) {
        const last = await this.status();
        if (last?.state === 'paused') return last;
      }
      const status = await this.requireLiving().request('/v1/pause', { force });
      await this.host.records.write({ ...record, wanted: 'paused' });
      return status;
    });
  }

  resume(): Promise<DomainStatus> {
    return this.#exclusive(async () => {
      const record = await this.#requireRecord('primary');
      await this.#makeRoom();
      await this.host.records.write({ ...record, wanted: 'protected' });
      const session = await this.#startPrimary({ ...record, wanted: 'protected' }, 'start');
      return session.status();
    });
  }

  /** On either host: the domain goes to the other one, planned. Resolves when it runs there. */
  async switchover(): Promise<DomainStatus> {
    const session = this.requireLiving();
    if (session.name.role === 'primary') return session.request('/v1/switchover');
    const { peer } = await this.#requireRecord('backup');
    const { term } = await this.host.terms.read(this.domain);
    await askSwitchover({ agent: peer, trust: this.host.trust }, this.domain, term);
    return session.status();
  }

  failover(): Promise<DomainStatus> {
    return this.requireLiving().request('/v1/failover');
  }

  /** Another host's primary, of `term`, wants a backup session here: how it is reached. */
  prepareBackup(primary: PrimaryHost, term: number): Promise<Message<'prepared'>> {
    return this.#exclusive(async () => {
      const session = await this.#backupSession(term);
      const before = await this.host.records.read(this.domain);
      if (before?.role === 'primary') await forgetStopped(this.host, this.domain);
      const { peer, settings, peerAddresses, ownAddresses } = primary;
      await this.#note(before, {
        ...{ domain: this.domain, role: 'backup', wanted: 'protected', established: true },
        ...{ endedOnPurpose: false, peer, peerAddresses, ownAddresses, settings },
      });
      return session.admit();
    });
  }

  /** Another host wants to run the domain under `term`. @throws AGENT_ALREADY_PROTECTED */
  consent(term: number): Promise<void> {
    return this.#exclusive(async () => {
      const { domain } = this;
      if ((await this.livingHere()).mayTakeOver) {
        throw agentError('AGENT_ALREADY_PROTECTED', `${domain} may run here`, { domain });
      }
      const session = this.#session;
      if (session !== undefined && !session.hasEnded) {
        if (session.name.role === 'primary') {
          throw agentError('AGENT_ALREADY_PROTECTED', `${domain} runs here`, { domain });
        }
        await session.request('/v1/superseded', { term });
        await this.#requireOver(session);
      }
      await this.host.terms.write({ domain, term, ours: false });
      const record = await this.host.records.read(domain);
      if (record !== undefined) await this.host.records.write({ ...record, role: 'backup' });
    });
  }

  async livingHere(): Promise<SessionsHere> {
    const session = this.#session;
    if (session === undefined || session.hasEnded) return this.#noneHere();
    const { state, reason } = await session.status();
    if (session.hasEnded) return this.#noneHere();
    // One that does not answer may be in the middle of it.
    const silent = reason?.code === 'AGENT_SESSION_SILENT';
    const isBackup = session.name.role === 'backup';
    return {
      mayTakeOver: isBackup && (silent || MAY_TAKE_OVER.has(state)),
      undecided: isBackup && (silent || state === 'promoting'),
      free: false,
    };
  }

  async #noneHere(): Promise<SessionsHere> {
    const record = await this.host.records.read(this.domain);
    const term = await this.host.terms.read(this.domain);
    const undecided = record !== undefined && promotionIsOpen(record, term);
    return { mayTakeOver: false, undecided, free: true };
  }

  /** Undefined when nothing is known of the domain on this host. */
  status(): Promise<DomainStatus | undefined> {
    const { domain } = this;
    return domainStatus(this.host, { domain, session: this.#session, step: this.#step });
  }

  async #recover(): Promise<void> {
    this.#attention.begin();
    const { record, living } = await this.#lookAtSession();
    if (record === undefined) return;
    let situation = await situationHere(this.host, record, living);
    let step = nextStep(situation);
    let peerTerm = 0;
    if (step.step === 'ask') {
      const { peer, term } = await askOtherHost(this.host, record);
      peerTerm = term;
      situation = { ...situation, peer };
      step = nextStep(situation);
    }
    if (step.step !== this.#step?.step || step.because !== this.#step.because) {
      this.host.log.info(LOG_EVENTS.recovery, { domain: this.domain, ...step });
      this.#attention.waitAnew();
    }
    this.#step = step;
    switch (step.step) {
      case 'rest':
        return;
      case 'ask':
      case 'wait':
        return this.#attention.lookAgain();
      case 'protect':
      case 'reprotect':
        return this.#startAgain(record, step.step);
      case 'yield':
        await yieldDomain(this.host, record, peerTerm);
        this.#session = undefined;
        return this.look();
      case 'release':
        await releaseTerm(this.host, record);
        return this.look();
      case 'claim':
        await claimDomain(this.host, record, peerTerm);
        return this.look();
    }
  }

  async #startAgain(record: DomainRecord, step: 'protect' | 'reprotect'): Promise<void> {
    if (!this.#attention.mayTry()) return;
    await this.#makeRoom();
    const now: DomainRecord = { ...record, role: 'primary', endedOnPurpose: false };
    await this.host.records.write(now);
    await this.#startPrimary(now, step === 'reprotect' ? 'takeover' : 'start');
  }

  /** One look: what the session says is noted before anything is decided upon it. */
  async #lookAtSession(): Promise<{ record: DomainRecord | undefined; living: State | 'none' }> {
    const record = await this.host.records.read(this.domain);
    const session = this.#session;
    if (record === undefined || session === undefined) return { record, living: 'none' };
    // One that ends meanwhile is looked at again: its end is an event of its own.
    const ended = session.hasEnded;
    const status = await session.status();
    const now = { ...record };
    if (status.role === 'primary' && status.state === 'protected') {
      now.established = true;
      this.#attention.succeeded();
    }
    if (status.takeover !== undefined) now.takeover = status.takeover;
    if (ended && status.reason?.code === 'AGENT_GUEST_GONE') now.endedOnPurpose = true;
    await this.#note(record, now);
    return { record: now, living: ended ? 'none' : status.state };
  }

  /** A primary that opens its heartbeat paths again asks often, and nothing is new: no durable write then. */
  async #note(before: DomainRecord | undefined, now: DomainRecord): Promise<void> {
    if (!isDeepStrictEqual(now, before)) await this.host.records.write(now);
  }

  async #startPrimary(record: DomainRecord, origin: 'start' | 'takeover'): Promise<SessionProcess> {
    const { domain, peer, peerAddresses, ownAddresses, settings } = record;
    const { libvirtUri, runDir, stateDir, listen, peers } = this.host.options;
    return this.#start({
      role: 'primary',
      ...{ domain, libvirtUri, runDir, stateDir, peers, origin, agentPort: listen.port },
      ...settings,
      backup: peer,
      heartbeatHosts: peerAddresses,
      ...(ownAddresses === undefined ? {} : { ownAddresses }),
    });
  }

  async #backupSession(term: number): Promise<SessionProcess> {
    const present = this.#session;
    if (present !== undefined && !present.hasEnded) {
      const { role, over } = await present.status();
      if (role === 'backup' && over === undefined) return present;
      if (role === 'primary') await present.request('/v1/superseded', { term });
      await this.#requireOver(present);
    }
    const { libvirtUri, runDir, stateDir, listen, replicaDir, peers } = this.host.options;
    return this.#start({
      role: 'backup',
      ...{ domain: this.domain, libvirtUri, runDir, stateDir, replicaDir, peers },
      listenHost: listen.host,
    });
  }

  async #start(config: SessionConfig): Promise<SessionProcess> {
    const { domain, role } = config;
    const session = await SessionProcess.start(config, (end) => this.#onEnded(session, end));
    this.#session = session;
    this.host.log.info(LOG_EVENTS.sessionUp, {
      ...{ domain, role, pid: session.pid, port: session.port },
    });
    return session;
  }

  #onEnded(session: SessionProcess, end: SessionEnd): void {
    const { domain, role } = session.name;
    const level = end.orderly ? 'info' : 'error';
    this.host.log[level](LOG_EVENTS.sessionEnded, { domain, role, ...end });
    void this.#exclusive(async () => {
      if (this.#session !== session) return;
      if (!end.orderly) await this.#afterDeath(session);
      else await this.#afterEnd(session);
    })
      .catch((error: unknown) => {
        this.host.log.error(LOG_EVENTS.teardown, { domain, error: messageOf(error) });
      })
      .finally(() => this.look());
  }

  /** What the state table asks for when a session process dies; the session cannot do it any more. */
  async #afterDeath({ name: { domain, role } }: SessionProcess): Promise<void> {
    const state = role === 'primary' ? 'protected' : 'syncing';
    const actions = rowFor(role, state, 'sessionDied')?.actions ?? [];
    if (!actions.includes('destroyStandby')) return;
    await this.host.withHypervisor((hypervisor) => hypervisor.destroyStandby(domain));
  }

  /** A first try that came to nothing, and a primary that said farewell, leave nothing to be kept. */
  async #afterEnd({ name: { domain, role } }: SessionProcess): Promise<void> {
    const record = await this.host.records.read(domain);
    const { ours, startable } = await this.host.terms.read(domain);
    const failedFirst = role === 'primary' && record?.established === false;
    const farewell = role === 'backup' && !ours && startable;
    if (failedFirst || farewell) await this.host.records.remove(domain);
  }

  /** A session that is over, or whose takeover is, makes room for a new one. */
  async #makeRoom(): Promise<void> {
    const present = this.#session;
    if (present === undefined || present.hasEnded) return;
    const { state } = await present.status();
    if (state === 'promoted') await present.request('/v1/unprotect', { force: true });
    await this.#requireOver(present);
  }

  /** Resolves when the session is gone or going; `AGENT_ALREADY_PROTECTED` when it is needed. */
  async #requireOver(session: SessionProcess): Promise<void> {
    const { state, role, domain, over } = await session.status();
    const ending = over === true || (role === 'primary' && OVER.has(state));
    if (!ending || !(await session.endsWithin(SESSION_END_TIMEOUT_MS))) {
      throw agentError('AGENT_ALREADY_PROTECTED', `${domain} is ${state} as ${role}`, { domain });
    }
  }

  /** No session holds the domain any more: its taps are given back to their bridges, libvirt may start it. */
  async #endWithoutSession(force: boolean): Promise<void> {
    const { domain, host } = this;
    const { ours, startable, term } = await host.terms.read(domain);
    if (ours && startable) return;
    if (!force) {
      const message = 'the session died; the backup may have taken over since';
      throw agentError('AGENT_BACKUP_UNSURE', message, { domain });
    }
    await host.terms.write({ domain, term, ours, startable: true });
    await host.withHypervisor(async (hypervisor) => {
      if ((await hypervisor.presence(domain)) !== 'running') return;
      const { nics } = await inspectDomain(await hypervisor.domain(domain));
      for (const { tap, bridge } of nics) {
        if (tap !== undefined && bridge !== undefined) await restoreTap({ tap, bridge });
      }
    });
  }

  /** The session that lives. @throws AGENT_NOT_PROTECTED */
  requireLiving(): SessionProcess {
    const session = this.#session;
    if (session === undefined) throw this.#notProtected('has no session here');
    if (session.hasEnded) throw this.#notProtected('has no session that lives here');
    return session;
  }

  #notProtected(why: string) {
    const { domain } = this;
    return agentError('AGENT_NOT_PROTECTED', `${domain} ${why}`, { domain });
  }

  /** The primary would lose its backup, hold output, and ask for the next one. @throws AGENT_NOT_PRIMARY */
  async #requireNobodysBackup(session: SessionProcess): Promise<void> {
    const { role, state } = await session.status();
    if (role === 'backup' && (state === 'syncing' || state === 'protected')) {
      await this.#requireRecord('primary');
    }
  }

  async #requireRecord(role: 'primary' | 'backup'): Promise<DomainRecord> {
    const { domain } = this;
    const record = await this.host.records.read(domain);
    if (record === undefined) throw this.#notProtected('is not protected here');
    if (record.role === role) return record;
    const { host, port } = record.peer;
    const code = role === 'primary' ? 'AGENT_NOT_PRIMARY' : 'AGENT_NOT_BACKUP';
    throw agentError(
      code,
      `this host is the ${record.role} of ${domain}; the other is ${host}:${port}`,
      {
        domain,
      },
    );
  }

  #exclusive<T>(run: () => Promise<T>): Promise<T> {
    const done = this.#tail.then(run);
    this.#tail = done.then(
      () => undefined,
      () => undefined,
    );
    return done;
  }
}
