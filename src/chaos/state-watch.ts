/** Looks at the states of both hosts all the time, and remembers each change: the report’s timeline. */
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../errors.js';
import type { ChaosHost } from './chaos-host.js';
import type { HostView } from './protection.js';

export interface StateChange {
  /** Date.now() */
  atMs: number;
  host: string;
  /** `primary protected`; `no answer`. */
  state: string;
  code?: string;
}

export class StateWatch {
  readonly changes: StateChange[] = [];
  readonly #last = new Map<string, string>();
  readonly #ended = new AbortController();
  readonly #loops: Promise<void>[];
  #failure: string | undefined;

  constructor(
    hosts: readonly ChaosHost[],
    private readonly domain: string,
    private readonly everyMs: number,
  ) {
    this.#loops = hosts.map((host) => this.#follow(host));
  }

  /** Why nothing more is watched; undefined while all is well. */
  get failure(): string | undefined {
    return this.#failure;
  }

  async close(): Promise<void> {
    this.#ended.abort();
    await Promise.all(this.#loops);
  }

  async #follow(host: ChaosHost): Promise<void> {
    const { signal } = this.#ended;
    while (!signal.aborted) {
      try {
        this.#note(await look(host, this.domain));
      } catch (error) {
        this.#failure ??= messageOf(error);
      }
      // Ended by `close`, which is no failure.
      await delay(this.everyMs, undefined, { signal }).catch(() => undefined);
    }
  }

  #note({ host, status }: HostView): void {
    const state = status === undefined ? 'no answer' : `${status.role} ${status.state}`;
    const code = status?.reason?.code;
    const seen = `${state} ${code ?? ''}`;
    if (this.#last.get(host) === seen) return;
    this.#last.set(host, seen);
    this.changes.push({ atMs: Date.now(), host, state, ...(code === undefined ? {} : { code }) });
  }
}

export async function look(host: ChaosHost, domain: string): Promise<HostView> {
  return { host: host.name, status: await host.status(domain) };
}
