/**
 * The kernel's plug qdisc, member by member as in net/sched/sch_plug.c (Linux 6.1; unchanged since 5.x):
 * it counts packets, and knows nothing of epochs. A packet is one unit of `limit` here.
 */
import type { NativePlugCommand } from '../../../src/native.js';

export class SchPlug {
  /** Counted since the last BUFFER. */
  #currentEpoch = 0;
  /** Counted between the last two BUFFERs, unless released. */
  #lastEpoch = 0;
  /** May leave from the head of the queue. */
  #toRelease = 0;
  #throttled = true;
  readonly #queue: number[] = [];
  dropped = 0;

  constructor(private readonly limit: number) {}

  /** Packets that are released and have not left yet. */
  get leaving(): number {
    return Math.min(this.#toRelease, this.#queue.length);
  }

  enqueue(stamp: number): void {
    if (this.#queue.length + 1 > this.limit) {
      this.dropped += 1;
      return;
    }
    this.#currentEpoch += 1;
    this.#queue.push(stamp);
  }

  dequeue(): number | undefined {
    if (this.#throttled) return undefined;
    if (this.#toRelease === 0) {
      this.#throttled = true;
      return undefined;
    }
    this.#toRelease -= 1;
    return this.#queue.shift();
  }

  change(command: NativePlugCommand): void {
    if (command === 'buffer') {
      this.#lastEpoch = this.#currentEpoch;
      this.#currentEpoch = 0;
    } else {
      this.#toRelease += this.#lastEpoch;
      this.#lastEpoch = 0;
      this.#throttled = false;
    }
  }
}
