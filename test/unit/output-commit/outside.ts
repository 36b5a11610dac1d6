/** The world outside: remembers the highest stamp ever seen, and whether the order was kept. */
import type { World } from './world.js';

export class Outside {
  /** 0: nothing was seen. */
  highest = 0;
  lastHeardAtMs = Number.NEGATIVE_INFINITY;
  readonly disorder: string[] = [];
  readonly heard: number[] = [];

  constructor(private readonly world: World) {}

  /** A packet of the primary's guest is on the wire. */
  hear(stamp: number): void {
    // What a dead host meant to send is not sent.
    if (!this.world.lives('host')) return;
    this.world.note(`outside sees ${stamp}`);
    if (stamp <= this.highest) this.disorder.push(`${stamp} seen after ${this.highest}`);
    this.highest = Math.max(this.highest, stamp);
    this.lastHeardAtMs = this.world.nowMs;
    this.heard.push(stamp);
  }
}
