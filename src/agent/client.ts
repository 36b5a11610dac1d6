/** The agent's control API as a client sees it: the CLI and the laboratory use nothing else. */
import type { PolicyName } from '../epoch/policy.js';
import type { Consistency } from '../wire/messages.js';
import type { FullReport } from './check.js';
import { controlRequest } from './control-request.js';
import type { EpochReport } from './epoch-report.js';
import type { DomainStatus } from './status.js';

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
  faults?: string[];
}

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
  failover(domain: string): Promise<DomainStatus> {
    return this.#post(`${path(domain)}/failover`, {});
  }

  async #get<T>(at: string): Promise<T> {
    return (await controlRequest(this.socketPath, 'GET', at)) as T;
  }
  async #post(at: string, body: object): Promise<DomainStatus> {
    return (await controlRequest(this.socketPath, 'POST', at, body)) as DomainStatus;
  }
}

function path(domain: string): string {
  return `/v1/domains/${encodeURIComponent(domain)}`;
}
