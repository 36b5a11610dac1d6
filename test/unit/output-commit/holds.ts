/**
 * Both backends of the output hold, without a kernel: `plug` is the real merge rule driving sch_plug's
 * counters; `holder` has the semantics of native/net/tap_holder.cc (a frame counts to the epoch that is
 * open when it is read, the boundary reads what has arrived, one frame at a time is written).
 */

import type { NativePlugRule } from '../../../src/native.js';
import type { HoldBackendName } from '../../../src/netbuffer/output-hold.js';
import type { Boundary } from './guest-memory.js';
import type { Outside } from './outside.js';
import { SchPlug } from './sch-plug.js';
import type { World } from './world.js';

export interface Hold extends Boundary {
  /** The open epoch has its first held packet. */
  onWaiting: (openEpoch: number) => void;
  readonly dropped: number;
  /** A packet of the guest is at its tap. */
  arrive(stamp: number): void;
  /** `epoch` is committed; resolves with the number of packets that have left. */
  release(epoch: number): Promise<number>;
  /** Packets pass until then. Only `holder` can. */
  passUntil(deadlineMs: number): void;
}

export interface HoldSettings {
  backend: HoldBackendName;
  limitPackets: number;
  firstEpoch: number;
  makeRule: (firstEpoch: number) => NativePlugRule;
}

export function makeHold(world: World, outside: Outside, settings: HoldSettings): Hold {
  return settings.backend === 'plug'
    ? new PlugHold(world, outside, settings)
    : new HolderHold(world, outside, settings);
}

/** Longest until the softirq, or the holder's thread, has done one thing; ms. */
const STEP_MS = 0.4;

class PlugHold implements Hold {
  onWaiting: (openEpoch: number) => void = () => undefined;
  readonly #qdisc: SchPlug;
  readonly #rule: NativePlugRule;
  #waitingTold = false;
  #running = false;
  #left = 0;
  #releases: { from: number; resolve: (packets: number) => void }[] = [];

  constructor(
    private readonly world: World,
    private readonly outside: Outside,
    { limitPackets, firstEpoch, makeRule }: HoldSettings,
  ) {
    this.#qdisc = new SchPlug(limitPackets);
    this.#rule = makeRule(firstEpoch);
  }

  get dropped(): number {
    return this.#qdisc.dropped;
  }

  arrive(stamp: number): void {
    this.#qdisc.enqueue(stamp);
    if (!this.#waitingTold && this.world.lives('session')) {
      this.#waitingTold = true;
      this.onWaiting(this.#rule.openEpoch);
    }
  }

  onEpochClosed(epoch: number): void {
    if (!this.world.lives('session')) return;
    const commands = this.#rule.close(epoch);
    this.#tell(commands);
    if (commands.length > 0) {
      this.#waitingTold = false;
    } else {
      this.world.moment('merged');
      if (this.#waitingTold) this.onWaiting(this.#rule.openEpoch);
    }
  }

  release(epoch: number): Promise<number> {
    if (!this.world.lives('session')) return Promise.resolve(0);
    this.world.moment('releasing');
    this.#tell(this.#rule.release(epoch));
    return new Promise((resolve) => {
      this.#releases.push({ from: this.#left, resolve });
      this.#softirq();
    });
  }

  passUntil(): void {
    throw new Error('the plug qdisc has no clock');
  }

  #tell(commands: readonly ('buffer' | 'releaseOne')[]): void {
    for (const command of commands) {
      this.world.note(`plug: ${command}`);
      this.#qdisc.change(command);
    }
  }

  /** The kernel dequeues until it is throttled, whether or not we live. */
  #softirq(): void {
    if (this.#running) return;
    this.#running = true;
    const { world } = this;
    world.after('host', world.random.between(0, STEP_MS), () => {
      this.#running = false;
      const stamp = this.#qdisc.dequeue();
      if (stamp === undefined) {
        this.#rule.left();
        for (const { from, resolve } of this.#releases.splice(0)) resolve(this.#left - from);
        return;
      }
      this.#left += 1;
      this.outside.hear(stamp);
      this.#softirq();
    });
  }
}

interface Frame {
  readonly stamp: number;
  readonly epoch: number;
}

class HolderHold implements Hold {
  onWaiting: (openEpoch: number) => void = () => undefined;
  dropped = 0;
  /** At the read tap, not yet read. */
  #arrived: number[] = [];
  readonly #frames: Frame[] = [];
  #openEpoch: number;
  #releasableEnd: number;
  #passUntilMs = Number.NEGATIVE_INFINITY;
  #waitingTold = false;
  #reading = false;
  #writing = false;
  #releases: { epoch: number; frames: number; resolve: (packets: number) => void }[] = [];

  constructor(
    private readonly world: World,
    private readonly outside: Outside,
    private readonly settings: HoldSettings,
  ) {
    this.#openEpoch = settings.firstEpoch;
    this.#releasableEnd = settings.firstEpoch;
  }

  arrive(stamp: number): void {
    this.#arrived.push(stamp);
    if (this.#reading) return;
    this.#reading = true;
    this.world.after('session', this.world.random.between(0, STEP_MS), () => {
      this.#reading = false;
      this.#readAll();
      this.#write();
    });
  }

  onEpochClosed(epoch: number): void {
    // Told before (a capture that is tried again): what came since then stays with the later epoch.
    if (!this.world.lives('session') || epoch < this.#openEpoch) return;
    this.#readAll();
    this.#openEpoch = epoch + 1;
    this.#waitingTold = false;
  }

  release(epoch: number): Promise<number> {
    if (!this.world.lives('session')) return Promise.resolve(0);
    if (epoch >= this.#openEpoch) return Promise.reject(new Error(`epoch ${epoch} is open`));
    this.world.moment('releasing');
    this.#releasableEnd = Math.max(this.#releasableEnd, epoch + 1);
    return new Promise((resolve) => {
      this.#releases.push({ epoch, frames: 0, resolve });
      this.#write();
    });
  }

  passUntil(deadlineMs: number): void {
    this.#passUntilMs = deadlineMs;
    this.#write();
  }

  #readAll(): void {
    for (const stamp of this.#arrived.splice(0)) {
      if (this.#frames.length >= this.settings.limitPackets) this.dropped += 1;
      else this.#frames.push({ stamp, epoch: this.#openEpoch });
    }
    if (this.#waitingTold || this.#frames.at(-1)?.epoch !== this.#openEpoch) return;
    this.#waitingTold = true;
    this.onWaiting(this.#openEpoch);
  }

  /** Writes the oldest frame if it may leave, then the next; each is judged when it is its turn. */
  #write(): void {
    if (this.#writing) return;
    this.#writing = true;
    const { world } = this;
    world.after('session', world.random.between(0, STEP_MS), () => {
      this.#writing = false;
      const frame = this.#frames[0];
      if (frame === undefined || !this.#mayLeave(frame)) {
        this.#finishReleases();
        return;
      }
      this.#frames.shift();
      this.outside.hear(frame.stamp);
      const release = this.#releases.find(({ epoch }) => epoch >= frame.epoch);
      if (release !== undefined) release.frames += 1;
      this.#write();
    });
  }

  #mayLeave(frame: Frame): boolean {
    return frame.epoch < this.#releasableEnd || this.world.nowMs < this.#passUntilMs;
  }

  #finishReleases(): void {
    const oldest = this.#frames[0]?.epoch ?? Number.POSITIVE_INFINITY;
    while (this.#releases[0] !== undefined && this.#releases[0].epoch < oldest) {
      const { frames, resolve } = this.#releases[0];
      this.#releases.shift();
      resolve(frames);
    }
  }
}
