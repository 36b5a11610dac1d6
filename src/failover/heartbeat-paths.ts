/**
 * Heartbeats over real connections: sends on every path, hears on every path, reports silence once.
 *
 * An idle pair does little else, and each time that a process wakes costs it some 300 µs of cold caches. So each
 * side wakes once an interval. The primary sends by its clock, and reads what the backup answered to the heartbeat
 * before at the same moment. The backup answers at once, and has a clock only for what does not come: whoever may
 * promote must know to the millisecond when the peer was heard.
 *
 * While all paths are heard, each heartbeat takes only every other path; as soon as one is not, it takes all. A path
 * that stays silent is down: the others carry on, and whoever opened it may open it again.
 */
import { monotonicMs } from '../clock.js';
import type { FrameChannel } from '../wire/channel.js';
import { wireError } from '../wire/errors.js';
import { CONNECT_TIMEOUT_MS, HEARTBEAT_BYTES, HELLO_TIMEOUT_MS } from '../wire/limits.js';
import type { HeartbeatPolicy } from '../wire/messages.js';
import { hostOfPeer } from '../wire/peer-host.js';
import { HeartbeatMonitor } from './heartbeat.js';
import type { Role } from './states.js';

export interface HeartbeatPath {
  /** The peer's, on this path. */
  address: string;
  up: boolean;
  silentMs: number;
}

export interface HeartbeatSummary {
  /** Of the path that was heard last. */
  silentMs: number;
  timeoutMs: number;
  /** Of our own process. */
  stalls: number;
  paths: HeartbeatPath[];
}

export interface HeartbeatListener {
  /** All paths have been silent for the time-out. Called once. */
  onSilent(silentMs: number): void;
  onStall(lateMs: number): void;
  /** A path went down, or is heard again. */
  onPath(path: HeartbeatPath, number: number): void;
  /** The peer has heard a heartbeat of ours that was sent at `sentAtMs` (CLOCK_MONOTONIC). */
  onHeard?(sentAtMs: number): void;
  /** How many times longer than the policy says the peer may be silent now. */
  patience(): number;
}

export interface HeartbeatOptions {
  role: Role;
  policy: HeartbeatPolicy;
  /** The peer's address on each; `undefined` until it is connected. */
  paths: readonly (string | undefined)[];
  term: () => number;
}

/** The one who answers looks by itself when nothing has come for this many intervals. */
const ANSWER_LATE_INTERVALS = 1.5;
/** A path is used every other interval; one that is silent for longer makes all of them be used. */
const PATH_SILENT_INTERVALS = 3;
/** One that is silent for so many time-outs is down; a busy machine may keep it waiting for one. */
const PATH_DOWN_TIMEOUTS = 4;
/** Until the first path is open nobody is silent: opening it may take this long. */
const OPENING_MS_MAX = CONNECT_TIMEOUT_MS + HELLO_TIMEOUT_MS;

/** WIRE_TIMED_OUT, for `onSilent`. */
export function silenceError(silentMs: number): Error {
  return wireError('WIRE_TIMED_OUT', `every heartbeat path silent for ${Math.round(silentMs)} ms`);
}

export class HeartbeatPaths {
  readonly #monitor: HeartbeatMonitor;
  readonly #channels: (FrameChannel | undefined)[];
  readonly #addresses: (string | undefined)[];
  readonly #down = new Set<number>();
  readonly #ended = new AbortController();
  readonly #answers: boolean;
  #timer: NodeJS.Timeout;
  #beats = 0;
  /** Paths on which an answer is due: the peer's to us, or ours to the peer. */
  #due: number[] = [];
  #answering = false;
  #opened = false;
  #reported = false;
  #silentMs = 0;
  /** Newest heartbeat heard: when the peer sent it, by its own clock. */
  #echo: bigint = 0n;

  constructor(
    private readonly options: HeartbeatOptions,
    private readonly listener: HeartbeatListener,
  ) {
    const { role, policy, paths } = options;
    this.#answers = role === 'backup';
    const lookEveryMs = policy.intervalMs * (this.#answers ? ANSWER_LATE_INTERVALS : 1);
    this.#monitor = new HeartbeatMonitor(policy, paths.length, monotonicMs(), lookEveryMs);
    this.#channels = paths.map(() => undefined);
    this.#addresses = [...paths];
    this.#timer = setTimeout(() => this.#tick(), lookEveryMs);
  }

  get summary(): HeartbeatSummary {
    const { timeoutMs, stalls } = this.#monitor;
    const nowMs = monotonicMs();
    const paths = this.#allPaths().map((path) => this.#pathAt(path, nowMs));
    return { silentMs: Math.round(this.#silentMs), timeoutMs, stalls, paths };
  }

  /** Aborted by `close`. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  isDown(path: number): boolean {
    return this.#down.has(path);
  }

  /** CLOCK_MONOTONIC ms at which any path was last heard. */
  get lastHeardAtMs(): number {
    return this.#monitor.lastHeardMs;
  }

  /** Takes a connected path; a new one replaces the old one of the same number. */
  use(path: number, channel: FrameChannel): void {
    if (this.#ended.signal.aborted || path >= this.#channels.length) {
      channel.destroy();
      return;
    }
    this.#channels[path]?.destroy();
    this.#channels[path] = channel;
    this.#opened = true;
    this.#addresses[path] ??= hostOfPeer(channel.peer);
    this.#monitor.heard(path, monotonicMs());
    channel.expectSmall();
    channel.receive({
      onFrame: ({ payload }) => this.#onHeartbeat(path, payload),
      onClosed: () => {
        if (this.#channels[path] === channel) this.#channels[path] = undefined;
      },
    });
    if (!this.#answers) {
      channel.listen(false);
      this.#due.push(path);
    }
  }

  close(): void {
    this.#ended.abort();
    clearTimeout(this.#timer);
    for (const channel of this.#channels) channel?.destroy();
  }

  /** Layout: when it was sent, and the newest that its sender has heard; u64 each, ns of the sender of that one. */
  #onHeartbeat(path: number, payload: Buffer): void {
    this.#monitor.heard(path, monotonicMs());
    if (payload.length !== HEARTBEAT_BYTES) {
      throw wireError('WIRE_BAD_MESSAGE', `a heartbeat of ${payload.length} bytes`);
    }
    const sent = payload.readBigUInt64LE(0);
    const heard = payload.readBigUInt64LE(8);
    if (sent > this.#echo) this.#echo = sent;
    if (heard > 0n && !this.#ended.signal.aborted) this.listener.onHeard?.(Number(heard) / 1e6);
    if (this.#answers) this.#answer(path);
  }

  /** After all that has come by now is heard. */
  #answer(path: number): void {
    this.#due.push(path);
    if (this.#answering) return;
    this.#answering = true;
    setImmediate(() => {
      this.#answering = false;
      this.#beat(this.#due.splice(0));
    });
  }

  #tick(): void {
    // What has come is read between timers and immediates, without sleeping: nobody is silent whose word lies unread.
    if (this.#answers) {
      setImmediate(() => this.#beat(this.#allPaths()));
      return;
    }
    const due = this.#due.splice(0);
    for (const path of due) this.#channels[path]?.listen(true);
    setImmediate(() => {
      for (const path of due) this.#channels[path]?.listen(false);
      const next = this.#nextPaths();
      this.#due.push(...next);
      this.#beat(next);
    });
  }

  #nextPaths(): number[] {
    this.#beats += 1;
    const all = this.#allPaths();
    const silentMs = this.#monitor.mostSilentMs(monotonicMs());
    if (all.length === 1 || silentMs > this.options.policy.intervalMs * PATH_SILENT_INTERVALS) {
      return all;
    }
    return all.filter((path) => path % 2 === this.#beats % 2);
  }

  #allPaths(): number[] {
    return [...this.#channels.keys()];
  }

  #beat(paths: readonly number[]): void {
    if (this.#ended.signal.aborted) return;
    const now = monotonicMs();
    const verdict = this.#monitor.look(now, this.#patience);
    this.#silentMs = verdict.silentMs;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#tick(), verdict.nextMs);
    if (verdict.stalled) this.listener.onStall(verdict.lateMs);
    // What came during a stall is unread yet.
    else this.#lookAtPaths(now);
    const payload = this.#heartbeat(now);
    for (const path of paths) {
      // A path that fails to send is a path that will be silent; the monitor judges that.
      this.#channels[path]
        ?.send({ type: 'heartbeat', epoch: 0, term: this.options.term() }, payload)
        .catch(() => undefined);
    }
    if (verdict.silent && !this.#reported) {
      this.#reported = true;
      this.listener.onSilent(verdict.silentMs);
    }
  }

  get #patience(): number {
    const patience = this.listener.patience();
    return this.#opened ? patience : Math.max(patience, OPENING_MS_MAX / this.#monitor.timeoutMs);
  }

  #lookAtPaths(nowMs: number): void {
    const silentMsMax = this.#monitor.timeoutMs * PATH_DOWN_TIMEOUTS;
    for (const path of this.#channels.keys()) {
      const isDown = this.#monitor.silentMs(path, nowMs) > silentMsMax;
      if (isDown === this.#down.has(path)) continue;
      if (isDown) this.#down.add(path);
      else this.#down.delete(path);
      this.listener.onPath(this.#pathAt(path, nowMs), path);
    }
  }

  #pathAt(path: number, nowMs: number): HeartbeatPath {
    return {
      address: this.#addresses[path] ?? `path ${path}`,
      up: !this.#down.has(path),
      silentMs: Math.round(this.#monitor.silentMs(path, nowMs)),
    };
  }

  #heartbeat(nowMs: number): Buffer {
    const payload = Buffer.alloc(HEARTBEAT_BYTES);
    payload.writeBigUInt64LE(BigInt(Math.floor(nowMs * 1e6)), 0);
    payload.writeBigUInt64LE(this.#echo, 8);
    return payload;
  }
}
