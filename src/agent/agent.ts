/**
 * The agent of one host: owns a session process per domain and role, answers operators on the control
 * socket and other hosts' primaries on its port.
 */
import { rm } from 'node:fs/promises';
import type { Server } from 'node:net';
import { DiskRecords } from '../diskmirror/disk-record.js';
import { FAULTS, isFault } from '../epoch/faults.js';
import { messageOf } from '../errors.js';
import type { State } from '../failover/states.js';
import { rowFor } from '../failover/table.js';
import { TermStore } from '../failover/term-store.js';
import { type Hypervisor, openHypervisor } from '../hypervisor/connection.js';
import { inspectDomain } from '../hypervisor/inspect.js';
import { restoreTap } from '../netbuffer/backends.js';
import { ClusterTrust } from '../pki/cluster-trust.js';
import type { FrameChannel } from '../wire/channel.js';
import { wireError } from '../wire/errors.js';
import type { Frame } from '../wire/frames.js';
import { commonVersion, decodeMessage, type HeartbeatPolicy } from '../wire/messages.js';
import { watchCertificates } from './certificate-watch.js';
import { checkAll, type Endpoint, type FullReport } from './check.js';
import { type Holdings, report, statusWithoutSession } from './copies.js';
import type { EpochReport } from './epoch-report.js';
import { agentError } from './errors.js';
import { findSessions, type SessionName } from './found-sessions.js';
import { SESSION_END_TIMEOUT_MS } from './limits.js';
import { LOG_EVENTS, type Log } from './log.js';
import type { ProtectRequest } from './protect-request.js';
import type { PeerSettings, SessionConfig } from './session-config.js';
import type { SessionEnd } from './session-life.js';
import { listenForHello } from './session-listener.js';
import { SessionProcess } from './session-process.js';
import type { DomainStatus } from './status.js';

export interface AgentOptions {
  libvirtUri: string;
  runDir: string;
  stateDir: string;
  /** Where other hosts reach this agent and its backup sessions. */
  listen: { host: string; port: number };
  /** Where replicas of disks are made. */
  replicaDir: string;
  allowFaults: boolean;
  peers: PeerSettings;
  /** Of a protection that names none. */
  heartbeat: HeartbeatPolicy;
}

/** States in which a primary session only has its last actions to finish. */
const OVER: ReadonlySet<State> = new Set(['unprotected', 'fenced', 'failed']);

export class Agent {
  readonly #sessions = new Map<string, SessionProcess>();
  readonly #holdings: Holdings;
  #server: Server | undefined;
  /** Who the other hosts are. */
  readonly trust: ClusterTrust;

  constructor(
    readonly options: AgentOptions,
    private readonly log: Log,
  ) {
    const { stateDir, replicaDir, peers } = options;
    this.trust = new ClusterTrust(peers);
    this.#holdings = {
      terms: new TermStore(stateDir),
      disks: new DiskRecords(stateDir),
      replicaDir,
      trust: this.trust,
    };
  }

  /** Goes on with the sessions of the agent before; answers afterwards. */
  async start(): Promise<void> {
    await this.#adoptSessions();
    await watchCertificates(this.trust, this.log);
    const { server, port } = await listenForHello(
      this.options.listen,
      { onHello: (channel, hello) => this.#onHello(channel, hello), term: () => 0 },
      { security: this.trust, log: this.log },
    );
    this.#server = server;
    this.log.info(LOG_EVENTS.agentUp, { port, pid: process.pid });
  }

  /** Stops answering; sessions go on. */
  stop(): void {
    this.#server?.close();
    this.log.info(LOG_EVENTS.agentDown);
  }

  /** With `backup`, its agent is asked as well whether it can keep the disks. */
  async check(domain: string, backup?: Endpoint): Promise<FullReport> {
    const hypervisor = await this.#hypervisor();
    try {
      return await checkAll(hypervisor, domain, {
        runDir: this.options.runDir,
        backup: backup && { agent: backup, trust: this.trust },
      });
    } finally {
      await hypervisor.close();
    }
  }

  /** Starts a primary session; it reports its progress by its status. */
  async protect(request: ProtectRequest): Promise<DomainStatus> {
    const { domain, faults } = request;
    const unknown = faults.filter((fault) => !isFault(fault));
    if (unknown.length > 0) {
      const known = Object.keys(FAULTS).join(', ');
      throw agentError('AGENT_BAD_REQUEST', `no fault ${unknown.join(', ')}; there are ${known}`);
    }
    if (faults.length > 0 && !this.options.allowFaults) {
      throw agentError('AGENT_FAULTS_REFUSED', `faults asked for: ${faults.join(', ')}`);
    }
    await this.#makeRoom(domain);
    await this.#knowDomain(domain);
    const { libvirtUri, runDir, stateDir, peers } = this.options;
    const session = await this.#start({
      role: 'primary',
      ...request,
      agentPort: this.options.listen.port,
      libvirtUri,
      runDir,
      stateDir,
      peers,
    });
    return session.status();
  }

  async unprotect(domain: string, force: boolean): Promise<DomainStatus> {
    const session = this.#session(domain);
    if (!session.hasEnded) return session.request('/v1/unprotect', { force });
    const last = await session.status();
    if (last.role === 'primary' && last.state === 'failed') await this.#freeOutput(domain, force);
    this.#sessions.delete(domain);
    return { ...last, state: 'unprotected' };
  }

  async failover(domain: string): Promise<DomainStatus> {
    return this.#session(domain).request('/v1/failover');
  }

  /** Begins a checkpoint at once; with `wait`, resolves when it is committed. */
  checkpoint(domain: string, wait: boolean): Promise<{ epoch?: number }> {
    return this.#session(domain).checkpoint(wait);
  }

  epochs(domain: string, count: number): Promise<EpochReport> {
    return this.#session(domain).epochs(count);
  }

  /** Also of a domain that no session runs for, if its disks are known on this host. */
  async status(domain: string): Promise<DomainStatus> {
    const session = this.#sessions.get(domain);
    if (session !== undefined) return session.status();
    return (await statusWithoutSession(this.#holdings, domain)) ?? this.#session(domain).status();
  }

  async list(): Promise<DomainStatus[]> {
    const recorded = await this.#holdings.disks.domains();
    const idle = recorded.filter((domain) => !this.#sessions.has(domain));
    const statuses = await Promise.all([
      ...[...this.#sessions.values()].map((session) => session.status()),
      ...idle.map((domain) => statusWithoutSession(this.#holdings, domain)),
    ]);
    return statuses.filter((status) => status !== undefined);
  }

  async #onHello(channel: FrameChannel, hello: Frame): Promise<void> {
    const { purpose } = decodeMessage('purpose', hello.payload);
    if (purpose !== 'report') return this.#onPrepare(channel, hello);
    const request = decodeMessage('report', hello.payload);
    const answer = await report(this.#holdings, request);
    await channel.sendMessage('welcome', 'reported', answer, { term: hello.term });
    channel.end();
  }

  /** Another host's primary wants a backup session here. */
  async #onPrepare(channel: FrameChannel, hello: Frame): Promise<void> {
    const { versions, domain } = decodeMessage('prepare', hello.payload);
    if (commonVersion(versions) === undefined) {
      throw wireError('WIRE_VERSION', `the primary speaks versions ${versions.join(', ')}`);
    }
    const session = await this.#backupSession(domain);
    await channel.sendMessage('welcome', 'prepared', await session.admit(), { term: hello.term });
    channel.end();
  }

  async #backupSession(domain: string): Promise<SessionProcess> {
    const present = this.#sessions.get(domain);
    if (present !== undefined && !present.hasEnded) {
      const { role, over } = await present.status();
      if (role === 'backup' && over === undefined) return present;
      await this.#requireOver(present);
    }
    const { libvirtUri, runDir, stateDir, listen, peers } = this.options;
    return this.#start({
      role: 'backup',
      domain,
      libvirtUri,
      runDir,
      stateDir,
      peers,
      listenHost: listen.host,
      replicaDir: this.options.replicaDir,
    });
  }

  async #start(config: SessionConfig): Promise<SessionProcess> {
    const { domain, role } = config;
    const session = await SessionProcess.start(config, (end) => this.#onEnded(config, end));
    this.#sessions.set(domain, session);
    this.log.info(LOG_EVENTS.sessionUp, { domain, role, pid: session.pid, port: session.port });
    return session;
  }

  #onEnded({ domain, role }: SessionName, end: SessionEnd): void {
    const level = end.orderly ? 'info' : 'error';
    this.log[level](LOG_EVENTS.sessionEnded, { domain, role, ...end });
    if (!end.orderly) this.#afterDeath({ domain, role });
  }

  async #adoptSessions(): Promise<void> {
    for (const found of await findSessions(this.options.runDir)) {
      const { name, card } = found;
      if (card === undefined) await rm(found.paths.socket, { force: true });
      const session = SessionProcess.adopt(found, (end) => this.#onEnded(name, end));
      // Of one that died nothing is left to be seen or done when its guest is gone as well.
      if (card !== undefined || (await this.#mayRunHere(name.domain))) {
        this.#sessions.set(name.domain, session);
        this.log.info(LOG_EVENTS.sessionFound, { ...name, pid: card?.pid });
      }
    }
  }

  async #mayRunHere(domain: string): Promise<boolean> {
    try {
      const hypervisor = await this.#hypervisor();
      try {
        return (await hypervisor.list()).some(({ name, running }) => name === domain && running);
      } finally {
        await hypervisor.close();
      }
    } catch (error) {
      this.log.error(LOG_EVENTS.teardown, { domain, error: messageOf(error) });
      return true;
    }
  }

  /** What the state table asks for when a session process dies; the session cannot do it any more. */
  #afterDeath({ domain, role }: SessionName): void {
    const state = role === 'primary' ? 'protected' : 'syncing';
    const actions = rowFor(role, state, 'sessionDied')?.actions ?? [];
    if (!actions.includes('destroyStandby')) return;
    this.#destroyStandby(domain).catch((error: unknown) => {
      this.log.error(LOG_EVENTS.teardown, { domain, error: messageOf(error) });
    });
  }

  async #destroyStandby(domain: string): Promise<void> {
    const hypervisor = await this.#hypervisor();
    try {
      await hypervisor.destroyStandby(domain);
    } finally {
      await hypervisor.close();
    }
  }

  /** A session that is over, or whose takeover is, makes room for a new one. */
  async #makeRoom(domain: string): Promise<void> {
    const present = this.#sessions.get(domain);
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

  /** The session died holding output: its taps are given back to their bridges. */
  async #freeOutput(domain: string, force: boolean): Promise<void> {
    if (!force) {
      const message = 'the session died; the backup may have taken over since';
      throw agentError('AGENT_BACKUP_UNSURE', message, { domain });
    }
    const hypervisor = await this.#hypervisor();
    try {
      const { nics } = await inspectDomain(await hypervisor.domain(domain));
      for (const { tap, bridge } of nics) {
        if (tap !== undefined && bridge !== undefined) {
          await restoreTap({ tap, bridge });
        }
      }
    } finally {
      await hypervisor.close();
    }
  }

  /** Fails at once, rather than in the session, when there is no such domain. */
  async #knowDomain(domain: string): Promise<void> {
    const hypervisor = await this.#hypervisor();
    try {
      await hypervisor.domain(domain);
    } finally {
      await hypervisor.close();
    }
  }

  #hypervisor(): Promise<Hypervisor> {
    return openHypervisor({
      uri: this.options.libvirtUri,
      onClosed: (reason) => this.log.warn(LOG_EVENTS.libvirtClosed, { reason: messageOf(reason) }),
    });
  }

  #session(domain: string): SessionProcess {
    const session = this.#sessions.get(domain);
    if (session === undefined) {
      throw agentError('AGENT_NOT_PROTECTED', `${domain} has no session here`, { domain });
    }
    return session;
  }
}
