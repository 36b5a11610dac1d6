/** The laboratory's two hosts with an agent on each, and what an operator would ask of them. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { AgentClient, type ProtectBody } from '../agent/control/client.js';
import { isUnanswered } from '../agent/control/control-request.js';
import { controlSocket } from '../agent/control/control-socket.js';
import { waitProtected } from '../agent/control/wait-protected.js';
import type { EventRecord } from '../agent/events/events.js';
import { AGENT_PORT_DEFAULT, RUN_DIR_DEFAULT } from '../agent/limits.js';
import type { DomainStatus } from '../agent/status.js';
import type { Config } from '../config/config-file.js';
import { CONFIG_FILE_DEFAULT } from '../config/paths.js';
import type { State } from '../failover/states.js';
import { labError } from './errors.js';
import { writeHostFiles } from './host-files.js';
import type { Lab } from './lab.js';
import { HOST_ADDRESSES, HOST_NAMES, type HostName } from './layout.js';
import { AGENT_POLL_MS, AGENT_READY_TIMEOUT_MS, PROTECT_TIMEOUT_MS } from './limits.js';

const AGENT_PROGRAM = fileURLToPath(new URL('../../bin/understudyd', import.meta.url));

export class LabAgent {
  constructor(
    readonly name: HostName,
    readonly client: AgentClient,
    readonly socket: string,
    readonly process: ChildProcess,
  ) {}
}

export interface HostPairOptions {
  /** An agent that ends while its host is up is started again, as an init does (default false). */
  respawnAgents?: boolean;
  /** Whether the replication link is encrypted (default true). */
  encrypt?: boolean;
  /** Of protections that say nothing else, in config.yaml's words (default: the product's). */
  heartbeat?: Config['heartbeat'];
}

export class HostPair {
  /** Hosts whose agents are not to be started again. */
  readonly #down = new Set<HostName>();

  private constructor(
    readonly lab: Lab,
    private readonly agents: Record<HostName, LabAgent>,
    private readonly respawnAgents: boolean,
  ) {
    for (const agent of Object.values(agents)) this.#respawn(agent);
  }

  /** Starts both agents and waits until they answer. @throws LAB_AGENT_NOT_READY */
  static async start(
    lab: Lab,
    { encrypt = true, respawnAgents = false, heartbeat }: HostPairOptions = {},
  ): Promise<HostPair> {
    await writeHostFiles(lab, { encrypt, heartbeat });
    const [a, b] = await Promise.all([startAgent(lab, 'a'), startAgent(lab, 'b')]);
    return new HostPair(lab, { a, b }, respawnAgents);
  }

  /** No agent is started again from now on. */
  close(): void {
    for (const name of HOST_NAMES) this.#down.add(name);
  }

  /** The host loses power; its agent is started again only by `bootHost`. */
  async crashHost(name: HostName): Promise<void> {
    this.#down.add(name);
    await this.lab.killHost(name);
  }

  agent(name: HostName): LabAgent {
    return this.agents[name];
  }

  /** A host that lost power is back, with an agent. @throws LAB_AGENT_NOT_READY, LAB_LIBVIRTD_FAILED */
  async bootHost(name: HostName): Promise<void> {
    await this.lab.bootHost(name);
    await this.startAgent(name);
  }

  /** On a host that has none. @throws LAB_AGENT_NOT_READY */
  async startAgent(name: HostName): Promise<void> {
    const agent = await startAgent(this.lab, name);
    this.#down.delete(name);
    this.agents[name] = agent;
    this.#respawn(agent);
  }

  /** Its agent dies (SIGKILL); `meanwhile` happens; another one starts. @throws LAB_AGENT_NOT_READY */
  async restartAgent(name: HostName, meanwhile?: () => Promise<void>): Promise<void> {
    await this.killAgent(name);
    await meanwhile?.();
    await this.startAgent(name);
  }

  /** SIGKILL; gone when this resolves. Its sessions go on. */
  async killAgent(name: HostName): Promise<void> {
    const { process: agent } = this.agents[name];
    agent.kill('SIGKILL');
    if (agent.exitCode === null && agent.signalCode === null) await once(agent, 'exit');
  }

  /** Protects a domain of host `from` on the other host; resolves when it is protected. */
  async protect(
    domain: string,
    options: Omit<ProtectBody, 'backup' | 'heartbeatHosts'> & {
      from?: HostName;
      onStatus?: (status: DomainStatus) => void;
    } = {},
  ): Promise<DomainStatus> {
    const { from = 'a', onStatus = () => undefined, ...body } = options;
    const backup = HOST_ADDRESSES[from === 'a' ? 'b' : 'a'];
    const own = HOST_ADDRESSES[from];
    const { client } = this.agents[from];
    await client.protect(domain, {
      backup: { host: backup.repl, port: AGENT_PORT_DEFAULT },
      heartbeatHosts: [backup.repl, backup.lan],
      ownAddresses: [own.repl, own.lan],
      // What follows is the test's or the demonstration's to do, unless it asks for more.
      recovery: 'manual',
      ...body,
    });
    return waitProtected(() => client.status(domain), { timeoutMs: PROTECT_TIMEOUT_MS, onStatus });
  }

  /** Waits until the domain's status on a host satisfies `wanted`. @throws LAB_STATE_NOT_REACHED */
  async waitFor(
    name: HostName,
    domain: string,
    wanted: (status: DomainStatus) => boolean,
    timeoutMs: number,
  ): Promise<DomainStatus> {
    const deadlineMs = performance.now() + timeoutMs;
    for (;;) {
      const status = await this.agents[name].client.status(domain);
      if (wanted(status)) return status;
      if (performance.now() > deadlineMs) {
        const seen = `${status.state} ${status.reason?.message ?? ''}`;
        throw labError('LAB_STATE_NOT_REACHED', `${domain} on host ${name} is ${seen}`);
      }
      await delay(AGENT_POLL_MS);
    }
  }

  /**
   * Resolves with the domain's change to `state` on that host at `since` or later, also when it is over by now.
   * @throws LAB_STATE_NOT_REACHED
   */
  async waitEntered(
    name: HostName,
    domain: string,
    state: State,
    { since, timeoutMs }: { since: Date; timeoutMs: number },
  ): Promise<EventRecord> {
    const { client } = this.agents[name];
    const asked = { domain, since: since.toISOString() };
    for await (const event of client.followEvents(asked, AbortSignal.timeout(timeoutMs))) {
      if (event.event === 'state-changed' && event.to === state) return event;
    }
    const { state: now, reason } = await client.status(domain);
    const message = `${domain} on host ${name} was not ${state} in ${timeoutMs} ms; it is ${now} ${reason?.message ?? ''}`;
    throw labError('LAB_STATE_NOT_REACHED', message);
  }

  #respawn({ name, process: agent }: LabAgent): void {
    if (!this.respawnAgents) return;
    agent.once('exit', () => {
      if (this.#down.has(name) || this.agents[name].process !== agent) return;
      this.startAgent(name).catch((error: unknown) => {
        // Its host fell meanwhile, or the laboratory went down.
        if (!this.#down.has(name)) process.emitWarning(`agent of host ${name}: ${String(error)}`);
      });
    });
  }
}

async function startAgent(lab: Lab, name: HostName): Promise<LabAgent> {
  const host = lab.host(name);
  const directory = `${host.runDir}${RUN_DIR_DEFAULT}`;
  await mkdir(directory, { recursive: true });
  const log = openSync(`${directory}/agent.log`, 'a');
  const process_ = host.spawn(
    process.execPath,
    [
      '--enable-source-maps',
      AGENT_PROGRAM,
      '--config',
      CONFIG_FILE_DEFAULT,
      '--unsafe-allow-faults',
    ],
    { stdio: ['ignore', log, log] },
  );
  const socket = `${host.runDir}${controlSocket(RUN_DIR_DEFAULT)}`;
  const agent = new LabAgent(name, new AgentClient(socket), socket, process_);
  const deadlineMs = performance.now() + AGENT_READY_TIMEOUT_MS;
  for (;;) {
    try {
      await agent.client.list();
      return agent;
    } catch (error) {
      if (!isUnanswered(error) || process_.exitCode !== null || performance.now() > deadlineMs) {
        throw labError('LAB_AGENT_NOT_READY', `agent of host ${name}: see ${directory}/agent.log`);
      }
      await delay(AGENT_POLL_MS);
    }
  }
}
