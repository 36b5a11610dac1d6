/** One guest of the laboratory that is protected in one mode after the other, by the product itself. */
import type { GuestOptions } from '../../src/lab/guest.js';
import type { HostPair } from '../../src/lab/host-pair.js';
import type { HostName } from '../../src/lab/layout.js';
import type { GuestRecord } from '../../src/lab/state.js';
import { benchError } from '../errors.js';
import { MODE_TIMEOUT_MS } from '../limits.js';
import { hasSettled, isIn, type Mode, PROTECTIONS } from './modes.js';

export class GuestInModes {
  #mode: Mode = 'unprotected';
  #home: HostName = 'a';

  private constructor(
    private readonly pair: HostPair,
    readonly record: GuestRecord,
  ) {}

  /** Runs on host a, not protected, when this resolves. */
  static async start(pair: HostPair, options: GuestOptions): Promise<GuestInModes> {
    return new GuestInModes(pair, await pair.lab.startGuest(options));
  }

  /** The same on host b: a guest that has changed hosts once is paused past libvirt. */
  static async startMoved(pair: HostPair, options: GuestOptions): Promise<GuestInModes> {
    const guest = await GuestInModes.start(pair, options);
    const { name } = guest.record;
    await guest.enter('adaptive');
    await pair.agent('a').client.switchover(name);
    await pair.waitFor('b', name, ({ state }) => state === 'promoted', MODE_TIMEOUT_MS);
    guest.#home = 'b';
    guest.#mode = 'unprotected';
    await guest.enter('adaptive');
    return guest;
  }

  /** The host that it runs on. */
  get home(): HostName {
    return this.#home;
  }

  /** The guest runs in `mode`, in its steady state, when this resolves. @throws BENCH_MODE_NOT_REACHED */
  async enter(mode: Mode): Promise<void> {
    const { name } = this.record;
    if (this.#mode !== 'unprotected') {
      await this.pair.agent(this.#home).client.unprotect(name, false);
      this.#mode = 'unprotected';
    }
    if (mode === 'unprotected') return;
    await this.pair.protect(name, { from: this.#home, ...PROTECTIONS[mode] });
    this.#mode = mode;
    const status = await this.pair.waitFor(this.#home, name, hasSettled, MODE_TIMEOUT_MS);
    if (isIn(PROTECTIONS[mode], status)) return;
    const is = JSON.stringify([status.state, status.policy, status.consistency]);
    throw benchError('BENCH_MODE_NOT_REACHED', `${name} should be in mode ${mode} and is ${is}`);
  }

  /** Ends the guest, which must not be protected any more. */
  async destroy(): Promise<void> {
    await this.enter('unprotected');
    await this.pair.lab.host(this.#home).virsh('destroy', this.record.name);
  }
}
