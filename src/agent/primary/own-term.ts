/**
 * The term that a primary session runs its domain under, and whether libvirt may start the domain on this host:
 * every step is durable before what it permits or forbids can happen.
 */
import type { TermStore } from '../../failover/term-store.js';

export class OwnTerm {
  #term = 1;
  #startable = true;
  #written: Promise<void> = Promise.resolve();

  constructor(
    private readonly domain: string,
    private readonly store: TermStore,
  ) {}

  get term(): number {
    return this.#term;
  }

  /** The term that this host has, or the next one. */
  async look(): Promise<void> {
    const { term, ours, startable } = await this.store.read(this.domain);
    this.#startable = startable;
    this.#term = ours ? term : term + 1;
  }

  /** From now on the other host may come to have the domain: nobody starts it here without asking there. */
  cover(): Promise<void> {
    return this.#write(true, false);
  }

  /** The other host has nothing any more that it could go on from. */
  uncover(): Promise<void> {
    return this.#write(true, true);
  }

  /** The other host acted on `newer`; without effect when that is no newer term. */
  async lose(newer: number): Promise<void> {
    if (newer <= this.#term) return;
    this.#term = newer;
    await this.#write(false, false);
  }

  /** The other host knows `newer`, and nothing of this session's was sent: the next protection begins after it. */
  async learn(newer: number): Promise<void> {
    if (newer <= this.#term) return;
    this.#term = newer;
    await this.#write(false, this.#startable);
  }

  /** The other host gave `newer` back: the one after is ours. */
  async takeAfter(newer: number): Promise<void> {
    this.#term = Math.max(this.#term, newer + 1);
    await this.#write(true, false);
  }

  /** In the order of the calls. */
  #write(ours: boolean, startable: boolean): Promise<void> {
    const record = { domain: this.domain, term: this.#term, ours, startable };
    const written = this.#written.then(() => this.store.write(record));
    this.#written = written.catch(() => undefined);
    return written;
  }
}
