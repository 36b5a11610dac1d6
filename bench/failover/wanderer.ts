/** One guest that goes to and fro between two hosts while a client writes to it and waits for each answer. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Takeover } from '../../src/agent/status.js';
import { monotonicMs } from '../../src/clock.js';
import type { ClientProcess } from '../../src/lab/demo/client-process.js';
import type { HostPair } from '../../src/lab/host-pair.js';
import type { HostName } from '../../src/lab/layout.js';
import { benchError } from '../errors.js';
import { ANSWER_TIMEOUT_MS, PROTECTED_AGAIN_TIMEOUT_MS, TAKEOVER_TIMEOUT_MS } from '../limits.js';

/** Epochs before each change: some hundred. */
const PROTECTED_FOR_MS = 1_500;
/** An answer of the old host that the client looks at late is not the first of the new one. */
const LAST_OF_THE_OLD_MS = 100;

export interface Change {
  takeover: Takeover;
  /** The longest that the client waited for an answer, ms. */
  gapMs: number;
}

export class Wanderer {
  #at: HostName = 'a';

  constructor(
    readonly pair: HostPair,
    private readonly client: ClientProcess,
    readonly domain: string,
  ) {}

  get at(): HostName {
    return this.#at;
  }

  /** `move` makes the guest go to the other host; resolves when it is protected there. */
  async go(
    move: (from: HostName) => Promise<void>,
    after: (from: HostName) => Promise<void>,
  ): Promise<Change> {
    const from = this.#at;
    const to: HostName = from === 'a' ? 'b' : 'a';
    await delay(PROTECTED_FOR_MS);
    const { term } = await this.pair.agent(from).client.status(this.domain);
    const movedAtMs = monotonicMs();
    await move(from);
    const { takeover } = await this.pair.waitFor(
      to,
      this.domain,
      (status) => (status.takeover?.term ?? 0) > term,
      TAKEOVER_TIMEOUT_MS,
    );
    if (takeover === undefined) throw new TypeError('a takeover without its figures');
    const untilMs = takeover.resumedAtMs + LAST_OF_THE_OLD_MS;
    const wait = await this.client.waited(movedAtMs, untilMs, ANSWER_TIMEOUT_MS);
    if (wait === undefined) {
      throw benchError('BENCH_NOTHING_MEASURED', 'nothing was answered after the takeover');
    }
    await after(from);
    this.#at = to;
    await this.pair.waitFor(
      to,
      this.domain,
      ({ role, state }) => role === 'primary' && state === 'protected',
      PROTECTED_AGAIN_TIMEOUT_MS,
    );
    return { takeover, gapMs: wait.toMs - wait.fromMs };
  }
}
