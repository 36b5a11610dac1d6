/**
 * The connection between the hosts: bytes in order, each way, with random delays, cut at any byte.
 *
 * Its two ends stand in for sockets of `node:net` under the real FrameChannel; only what that uses is
 * there. Nothing is lost but by a cut: what has not arrived then arrives up to a random byte.
 */
import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import type { Owner, World } from './world.js';

export interface LinkTiming {
  /** One way, at most. */
  latencyMs: number;
  /** Until the sender's kernel has taken a write, at most. */
  takenMs: number;
  /** A read gets at most so many bytes. */
  segmentBytesMax: number;
}

export class Link {
  readonly primary: SocketEnd;
  readonly backup: SocketEnd;

  constructor(
    readonly world: World,
    readonly timing: LinkTiming,
  ) {
    this.primary = new SocketEnd(this, 'session', () => this.backup);
    this.backup = new SocketEnd(this, 'backup', () => this.primary);
  }

  /** Nothing written from now on arrives; what is under way arrives up to a random byte. */
  cut(): void {
    this.primary.cut();
    this.backup.cut();
  }

  /** Nothing arrives for `ms`; then all of it does. */
  stall(ms: number): void {
    this.primary.stall(ms);
    this.backup.stall(ms);
  }
}

export class SocketEnd extends EventEmitter {
  readonly remoteAddress = 'simulated';
  readonly remotePort = 1;
  readonly readableLength = 0;
  /** Written here and not yet arrived at the peer. */
  #underWay: { bytes: Buffer; atMs: number }[] = [];
  #arrived: Buffer[] = [];
  #reading = false;
  #isCut = false;
  #closed = false;
  #stalledUntilMs = 0;
  /** The sender's kernel has everything written so far. */
  #takenAtMs = 0;

  constructor(
    private readonly link: Link,
    private readonly owner: Owner,
    private readonly peer: () => SocketEnd,
  ) {
    super();
  }

  asSocket(): Socket {
    return this as unknown as Socket;
  }

  write(bytes: Buffer, taken?: (error?: Error) => void): boolean {
    const { world, timing } = this.link;
    if (!world.lives(this.owner)) return false;
    if (this.#closed) {
      taken?.(new Error('write after the end'));
      return false;
    }
    const takenMs = world.random.between(0, timing.takenMs);
    this.#takenAtMs = Math.max(this.#takenAtMs, world.nowMs + takenMs);
    if (!this.#isCut) this.#send(Buffer.from(bytes));
    if (taken !== undefined) {
      world.after(this.owner, this.#takenAtMs - world.nowMs, () => taken());
    }
    return true;
  }

  cut(): void {
    if (this.#isCut) return;
    this.#isCut = true;
    const { random } = this.link.world;
    const whole = random.integer(0, this.#underWay.length);
    const torn = this.#underWay[whole];
    this.#underWay.length = Math.min(whole, this.#underWay.length);
    if (torn !== undefined && torn.bytes.length > 1) {
      const bytes = torn.bytes.subarray(0, random.integer(1, torn.bytes.length - 1));
      this.#underWay.push({ bytes, atMs: torn.atMs });
    }
  }

  stall(ms: number): void {
    this.#stalledUntilMs = this.link.world.nowMs + ms;
  }

  destroy(): void {
    if (this.#closed) return;
    this.#closed = true;
    const { world, timing } = this.link;
    world.after(this.owner, 0, () => this.emit('close'));
    if (!this.#isCut)
      world.after('network', timing.takenMs + timing.latencyMs * 2, () => this.peer().hungUp());
  }

  hungUp(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.emit('close');
  }

  resume(): void {
    this.#reading = true;
    while (this.#reading && this.#arrived.length > 0) this.emit('data', this.#arrived.shift());
  }

  pause(): void {
    this.#reading = false;
  }

  /** Sends are not corked, not delayed, and silence is not judged here. */
  readonly setNoDelay = ignored;
  readonly setTimeout = ignored;
  readonly cork = ignored;
  readonly uncork = ignored;

  #send(bytes: Buffer): void {
    const { world, timing } = this.link;
    for (let at = 0; at < bytes.length; ) {
      const length = world.random.integer(1, timing.segmentBytesMax);
      const part = { bytes: bytes.subarray(at, at + length), atMs: this.#arrivalMs() };
      this.#underWay.push(part);
      world.after('network', part.atMs - world.nowMs, () => this.#deliver());
      at += length;
    }
  }

  /** Never before the kernel has it, nor before what was written earlier. */
  #arrivalMs(): number {
    const { world, timing } = this.link;
    const soonest = this.#takenAtMs + world.random.between(timing.latencyMs / 4, timing.latencyMs);
    return Math.max(soonest, this.#underWay.at(-1)?.atMs ?? 0);
  }

  #deliver(): void {
    const { world } = this.link;
    const part = this.#underWay[0];
    // Lost with the cut.
    if (part === undefined) return;
    if (world.nowMs < this.#stalledUntilMs) {
      world.after('network', this.#stalledUntilMs - world.nowMs, () => this.#deliver());
      return;
    }
    this.#underWay.shift();
    this.peer().#take(part.bytes);
  }

  #take(bytes: Buffer): void {
    if (this.#closed || !this.link.world.lives(this.owner)) return;
    if (this.#reading) this.emit('data', bytes);
    else this.#arrived.push(bytes);
  }
}

const ignored = (): void => undefined;
