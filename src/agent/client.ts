/** The agent's control API as a client sees it: the CLI and the laboratory use nothing else. */
import type { FullReport } from './check.js';
import { controlRequest } from './control-request.js';
import type { DomainStatus } from './status.js';

export interface ProtectBody {
  backup: { host: string; port: number };
  intervalMs?: number;
  heartbeatHosts?: string[];
  heartbeat?: { intervalMs: number; missedMax: number };
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
