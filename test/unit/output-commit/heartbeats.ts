/** One side's ear for the other: the real monitor, looked at as often as the product looks. */
import { HeartbeatMonitor } from '../../../src/failover/heartbeat.js';
import type { HeartbeatPolicy } from '../../../src/wire/messages.js';
import type { Owner, World } from './world.js';

/** Quick, so that schedules are short; the ratios are the product's. */
export const HEARTBEAT: HeartbeatPolicy = { intervalMs: 15, missedMax: 3 };
export const HEARTBEAT_TIMEOUT_MS = HEARTBEAT.intervalMs * HEARTBEAT.missedMax;

export class Ear {
  readonly #monitor: HeartbeatMonitor;
  #closed = false;

  constructor(
    private readonly world: World,
    private readonly owner: Owner,
    private readonly onSilent: () => void,
  ) {
    this.#monitor = new HeartbeatMonitor(HEARTBEAT, 1, world.nowMs);
    // The two sides do not look at the same moments.
    world.after(owner, world.random.between(0, HEARTBEAT.intervalMs), () => this.#look());
  }

  heard(): void {
    this.#monitor.heard(0, this.world.nowMs);
  }

  close(): void {
    this.#closed = true;
  }

  #look(): void {
    if (this.#closed) return;
    if (this.#monitor.look(this.world.nowMs).silent) {
      this.onSilent();
      return;
    }
    this.world.after(this.owner, HEARTBEAT.intervalMs, () => this.#look());
  }
}
