/** The agent's control API as a client sees it: the CLI and the laboratory use nothing else. */
import type { PolicyName } from '../../epoch/policy.js';
import type { Consistency } from '../../wire/messages.js';
import type { FullReport } from '../domain/check.js';
import type { EventRecord } from '../events/events.js';
import type { EpochReport } from '../primary/epoch-report.js';
import type { DomainStatus, KnownDomain } from '../status.js';
import type { AgentVersion } from '../version.js';
import { controlLines, controlRequest } from './control-request.js';

export interface ProtectBody {
  backup: { host: string; port: number };
  policy?: PolicyName;
  /** Of `fixed`. */
  intervalMs?: number;
  /** Of `adaptive`, these three. */
  minIntervalMs?: number;
  maxIntervalMs?: number;
  /** 0 to 1. */
  pauseBudget?: number;
  consistency?: Consistency;
  outputHold?: 'auto' | 'plug' | 'holder';
  heartbeatHosts?: string[];
  /** What is left out is as in the host's configuration. */
  heartbeat?: { intervalMs?: number; missedMax?: number };
  stagingBytes?: number;
  /** Default: automatic. */
  recovery?: 'automatic' | 'manual';
  /** Of the primary, for heartbeats after a takeover; default: the one by which its backup is reached. */
  ownAddresses?: string[];
  faults?: string[];
}

/** All of them when nothing is said, the newest `count` at most. */
export type EventsAsked = {
  domain?: string | undefined;
  /** ISO 8601 */
  since?: string | undefined;
  count?: number | undefined;
};

export class AgentClient {
  constructor(private readonly socketPath: string) {}

  /** `backup`, HOST[:PORT], is asked as well when it is given. */
  check(domain: string, backup?: string): Promise<FullReport> {
    const query = backup === undefined ? '' : `?backup=${encodeURIComponent(backup)}`;
    return this.#get<FullReport>(`${path(domain)}/check${query}`);
  }
  status(domain: string): Promise<DomainStatus> {
    return this.#get<DomainStatus>(path(domain));
  }
  async list(): Promise<DomainStatus[]> {
    return (await this.#get<{ domains: DomainStatus[] }>('/v1/domains')).domains;
  }
  /** Also the domains of that host that are not protected. */
  listAll(): Promise<{ domains: DomainStatus[]; others: KnownDomain[] }> {
    return this.#get('/v1/domains?all=1');
  }
  version(): Promise<AgentVersion> {
    return this.#get<AgentVersion>('/v1/version');
  }
  protect(domain: string, body: ProtectBody): Promise<DomainStatus> {
    return this.#post(`${path(domain)}/protect`, body);
  }
  unprotect(domain: string, force: boolean): Promise<DomainStatus> {
    return this.#post(`${path(domain)}/unprotect`, { force });
  }
  /** With `wait`, resolves with the epoch in which the present state is committed. */
  async checkpoint(domain: string, wait: boolean): Promise<{ epoch?: number }> {
    const at = `${path(domain)}/checkpoint`;
    return (await controlRequest(this.socketPath, 'POST', at, { wait })) as { epoch?: number };
  }
  /** Where the time of the newest `count` epochs went. */
  epochs(domain: string, count?: number): Promise<EpochReport> {
    const query = count === undefined ? '' : `?count=${count}`;
    return this.#get<EpochReport>(`${path(domain)}/epochs${query}`);
  }
  /** What happened on this host, oldest first. */
  async events(query: EventsAsked = {}): Promise<EventRecord[]> {
    const answer = await this.#get<{ events: EventRecord[] }>(`/v1/events${queryOf(query)}`);
    return answer.events;
  }
  /** The same, then each event as it happens; ends with the signal or with the agent. */
  async *followEvents(query: EventsAsked = {}, signal?: AbortSignal): AsyncGenerator<EventRecord> {
    const at = `/v1/events${queryOf({ ...query, follow: 1 })}`;
    for await (const line of controlLines(this.socketPath, at, signal)) {
      yield JSON.parse(line) as EventRecord;
    }
  }
  failover(domain: string): Promise<DomainStatus> {
    return this.#post(`${path(domain)}/failover`, {});
  }
  /** Resolves when the domain runs on its other host. */
  switchover(domain: string): Promise<DomainStatus> {
    return this.#post(`${path(domain)}/switchover`, {});
  }
  pause(domain: string, force: boolean): Promise<DomainStatus> {
    return this.#post(`${path(domain)}/pause`, { force });
  }
  resume(domain: string): Promise<DomainStatus> {
    return this.#post(`${path(domain)}/resume`, {});
  }

  async #get<T>(at: string): Promise<T> {
    return (await controlRequest(this.socketPath, 'GET', at)) as T;
  }
  async #post(at: string, body: object): Promise<DomainStatus> {
    return (await controlRequest(this.socketPath, 'POST', at, body)) as DomainStatus;
  }
}

function queryOf(values: Readonly<Record<string, string | number | undefined>>): string {
  const parts = Object.entries(values).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${encodeURIComponent(value)}`],
  );
  return parts.length === 0 ? '' : `?${parts.join('&')}`;
}

function path(domain: string): string {
  return `/v1/domains/${encodeURIComponent(domain)}`;
}
