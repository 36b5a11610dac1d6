/**
 * The agent of one host: keeps every domain that it knows (keeper.ts), answers operators on the control socket and
 * other hosts' agents and primaries on its port.
 */
import { rm } from 'node:fs/promises';
import type { Server } from 'node:net';
import { findHost } from '../config/hosts-file.js';
import { FAULTS, isFault } from '../epoch/faults.js';
import { messageOf } from '../errors.js';
import type { ClusterTrust } from '../pki/cluster-trust.js';
import type { FrameChannel } from '../wire/channel.js';
import { wireError } from '../wire/errors.js';
import type { Frame } from '../wire/frames.js';
import { HEARTBEAT_PATHS_MAX } from '../wire/limits.js';
import { commonVersion, decodeMessage } from '../wire/messages.js';
import { hostOfPeer } from '../wire/peer-host.js';
import { unmetNeeds } from './backup/standby-needs.js';
import { watchCertificates } from './certificate-watch.js';
import { issueOf, type ProtectRequest } from './control/protect-request.js';
import { checkAll, type Endpoint, type FullReport } from './domain/check.js';
import { report } from './domain/copies.js';
import { settingsSchema } from './domain/domain-record.js';
import { DomainKeeper } from './domain/keeper.js';
import { agentError } from './errors.js';
import { type AgentOptions, Host } from './host.js';
import { HostWatch } from './host-watch.js';
import { LOG_EVENTS, type Log } from './log.js';
import type { EpochReport } from './primary/epoch-report.js';
import { findSessions } from './session/found-sessions.js';
import { listenForHello } from './session/session-listener.js';
import { supersededBy } from './session/superseded.js';
import type { DomainStatus, KnownDomain } from './status.js';

export class Agent {
  readonly #host: Host;
  readonly #keepers = new Map<string, DomainKeeper>();
  readonly #watch: HostWatch;
  #server: Server | undefined;

  constructor(
    readonly options: AgentOptions,
    private readonly log: Log,
  ) {
    this.#host = new Host(options, log);
    const { libvirtUri, runDir } = options;
    this.#watch = new HostWatch({ libvirtUri, runDir, log }, (domain) => this.#onChanged(domain));
  }

  /** Who the other hosts are. */
  get trust(): ClusterTrust {
    return this.#host.trust;
  }

  /** Goes on with what the agent before did, and with its sessions; answers afterwards. */
  async start(): Promise<void> {
    await this.#adoptSessions();
    for (const domain of await this.#host.records.domains()) this.#keeper(domain);
    await watchCertificates(this.trust, this.log);
    const { server, port } = await listenForHello(
      this.options.listen,
      { onHello: (channel, hello) => this.#onHello(channel, hello), term: () => 0 },
      { security: this.trust, log: this.log },
    );
    this.#server = server;
    this.log.info(LOG_EVENTS.agentUp, { port, pid: process.pid });
    await this.#watch.start();
    this.#onChanged(undefined);
  }

  /** Stops answering; sessions go on. */
  async stop(): Promise<void> {
    this.#server?.close();
    for (const keeper of this.#keepers.values()) keeper.close();
    await this.#watch.close();
    this.log.info(LOG_EVENTS.agentDown);
  }

  /** With `backup`, its agent is asked as well whether it can keep the disks. */
  check(domain: string, backup?: Endpoint): Promise<FullReport> {
    return this.#host.withHypervisor((hypervisor) =>
      checkAll(hypervisor, domain, {
        runDir: this.options.runDir,
        backup: backup && { agent: backup, trust: this.trust },
      }),
    );
  }

  /** Starts a primary session; it reports its progress by its status. */
  async protect(request: ProtectRequest): Promise<DomainStatus> {
    this.#requireFaults(request.faults);
    // Fails at once, rather than in the session, when there is no such domain.
    await this.#host.withHypervisor((hypervisor) => hypervisor.domain(request.domain));
    return this.#keeper(request.domain).protect(request);
  }

  unprotect(domain: string, force: boolean): Promise<DomainStatus> {
    return this.#known(domain).unprotect(force);
  }

  pause(domain: string, force: boolean): Promise<DomainStatus> {
    return this.#known(domain).pause(force);
  }

  resume(domain: string): Promise<DomainStatus> {
    return this.#known(domain).resume();
  }

  /** On either host. Resolves when the domain runs on the other one. */
  switchover(domain: string): Promise<DomainStatus> {
    return this.#known(domain).switchover();
  }

  failover(domain: string): Promise<DomainStatus> {
    return this.#known(domain).failover();
  }

  /** Begins a checkpoint at once; with `wait`, resolves when it is committed. */
  async checkpoint(domain: string, wait: boolean): Promise<{ epoch?: number }> {
    return this.#known(domain).requireLiving().checkpoint(wait);
  }

  async epochs(domain: string, count: number): Promise<EpochReport> {
    return this.#known(domain).requireLiving().epochs(count);
  }

  /** Also of a domain that no session runs for, if something of it is known on this host. */
  async status(domain: string): Promise<DomainStatus> {
    const status = await (this.#keepers.get(domain) ?? this.#stranger(domain)).status();
    if (status === undefined) throw notProtected(domain);
    return status;
  }

  /** Every domain that libvirt knows on this host, protected or not. */
  libvirtDomains(): Promise<KnownDomain[]> {
    return this.#host.withHypervisor(async (hypervisor) =>
      (await hypervisor.list()).map(({ name, running }) => ({ domain: name, running })),
    );
  }

  async list(): Promise<DomainStatus[]> {
    const recorded = await this.#host.disks.domains();
    const strangers = recorded.filter((domain) => !this.#keepers.has(domain));
    const all = [...this.#keepers.values(), ...strangers.map((domain) => this.#stranger(domain))];
    const statuses = await Promise.all(all.map((keeper) => keeper.status()));
    return statuses.filter((status) => status !== undefined);
  }

  async #onHello(channel: FrameChannel, hello: Frame): Promise<void> {
    const { term, payload } = hello;
    switch (decodeMessage('purpose', payload).purpose) {
      case 'report': {
        const request = decodeMessage('report', payload);
        const keeper = this.#keepers.get(request.domain) ?? this.#stranger(request.domain);
        const life = await keeper.livingHere();
        const answer = await report(this.#host.holdings, request, life);
        // One that has its standby already has its memory as well.
        if (request.needs !== undefined && life.free) {
          answer.refusals.push(...(await unmetNeeds(this.#host, request.needs)));
        }
        await channel.sendMessage('welcome', 'reported', answer, { term });
        break;
      }
      case 'claim': {
        const { domain } = decodeMessage('claim', payload);
        await this.#requireNewer(domain, term);
        await this.#keeper(domain).consent(term);
        await channel.sendMessage('welcome', 'claimed', { term }, { term });
        break;
      }
      case 'switchover': {
        const { domain } = decodeMessage('switchover', payload);
        const { state } = await this.#known(domain).switchover();
        await channel.sendMessage('welcome', 'switchedOver', { state }, { term });
        break;
      }
      case 'prepare':
        await this.#onPrepare(channel, hello);
        break;
      default:
        throw wireError('WIRE_UNEXPECTED', 'an agent keeps no checkpoints and hears no heartbeats');
    }
    channel.end();
  }

  /** Another host's primary wants a backup session here. */
  async #onPrepare(channel: FrameChannel, { term, payload }: Frame): Promise<void> {
    const message = decodeMessage('prepare', payload);
    const { versions, domain, agentPort, backupAddresses } = message;
    if (commonVersion(versions) === undefined) {
      throw wireError('WIRE_VERSION', `the primary speaks versions ${versions.join(', ')}`);
    }
    const settings = settingsSchema.safeParse(message.settings);
    if (!settings.success) throw agentError('AGENT_BAD_REQUEST', issueOf(settings.error));
    this.#requireFaults(settings.data.faults);
    await this.#requireNotOlder(domain, term);
    const host = hostOfPeer(channel.peer);
    const known = findHost((await this.trust.hosts()) ?? [], host);
    const primary = {
      peer: { host, port: agentPort },
      settings: settings.data,
      // Heartbeats go by every path that is known, in this direction too.
      peerAddresses: message.addresses ?? known?.addresses.slice(0, HEARTBEAT_PATHS_MAX) ?? [host],
      ownAddresses: backupAddresses,
    };
    const prepared = await this.#keeper(domain).prepareBackup(primary, term);
    await channel.sendMessage('welcome', 'prepared', prepared, { term });
  }

  /** @throws WIRE_STALE_TERM unless `term` is newer than what is known here, or the same and not ours */
  async #requireNotOlder(domain: string, term: number): Promise<void> {
    const known = await this.#host.terms.read(domain);
    if (term < known.term || (known.ours && term === known.term)) throw supersededBy(known.term);
  }

  /** @throws WIRE_STALE_TERM */
  async #requireNewer(domain: string, term: number): Promise<void> {
    const known = await this.#host.terms.read(domain);
    if (term <= known.term) throw supersededBy(known.term);
  }

  #requireFaults(faults: readonly string[]): void {
    const unknown = faults.filter((fault) => !isFault(fault));
    if (unknown.length > 0) {
      const known = Object.keys(FAULTS).join(', ');
      throw agentError('AGENT_BAD_REQUEST', `no fault ${unknown.join(', ')}; there are ${known}`);
    }
    if (faults.length > 0 && !this.options.allowFaults) {
      throw agentError('AGENT_FAULTS_REFUSED', `faults asked for: ${faults.join(', ')}`);
    }
  }

  async #adoptSessions(): Promise<void> {
    for (const found of await findSessions(this.options.runDir)) {
      const { name, card } = found;
      if (card === undefined) await rm(found.paths.socket, { force: true });
      // Of one that died nothing is left to be seen or done when its guest is gone as well.
      if (card !== undefined || (await this.#mayRunHere(name.domain))) {
        this.#keeper(name.domain).adopt(found);
        this.log.info(LOG_EVENTS.sessionFound, { ...name, pid: card?.pid });
      }
    }
  }

  async #mayRunHere(domain: string): Promise<boolean> {
    try {
      return await this.#host.withHypervisor(
        async (hypervisor) => (await hypervisor.presence(domain)) !== 'stopped',
      );
    } catch (error) {
      this.log.error(LOG_EVENTS.teardown, { domain, error: messageOf(error) });
      return true;
    }
  }

  #onChanged(domain: string | undefined): void {
    if (domain !== undefined) this.#keepers.get(domain)?.look();
    else for (const keeper of this.#keepers.values()) keeper.look();
  }

  /** Made at the first word of a domain. */
  #keeper(domain: string): DomainKeeper {
    const keeper = this.#keepers.get(domain) ?? this.#stranger(domain);
    this.#keepers.set(domain, keeper);
    return keeper;
  }

  /** For one question: a domain of which nothing is kept. */
  #stranger(domain: string): DomainKeeper {
    return new DomainKeeper(domain, this.#host);
  }

  #known(domain: string): DomainKeeper {
    const keeper = this.#keepers.get(domain);
    if (keeper === undefined) throw notProtected(domain);
    return keeper;
  }
}

function notProtected(domain: string) {
  return agentError('AGENT_NOT_PROTECTED', `${domain} has no session here`, { domain });
}
