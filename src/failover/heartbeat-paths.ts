/** Heartbeats over real connections: sends on every path, hears on every path, reports silence once. */
import { monotonicMs } from '../clock.js';
import type { FrameChannel } from '../wire/channel.js';
import { wireError } from '../wire/errors.js';
import { HEARTBEAT_BYTES } from '../wire/limits.js';
import type { HeartbeatPolicy } from '../wire/messages.js';
import { HeartbeatMonitor } from './heartbeat.js';

export interface HeartbeatListener {
  /** All paths have been silent for the time-out. Called once. */
  onSilent(silentMs: number): void;
  onStall(lateMs: number): void;
  /** The peer has heard a heartbeat of ours that was sent at `sentAtMs` (CLOCK_MONOTONIC). */
  onHeard?(sentAtMs: number): void;
  /** How many times longer than the policy says the peer may be silent now. */
  patience(): number;
}

export class HeartbeatPaths {
  readonly #monitor: HeartbeatMonitor;
  readonly #channels: (FrameChannel | undefined)[];
  readonly #timer: NodeJS.Timeout;
  #lastTickMs = monotonicMs();
  #reported = false;
  #closed = false;
  #silentMs = 0;
  /** Newest heartbeat heard: when the peer sent it, by its own clock. */
  #echo: bigint = 0n;

  constructor(
    private readonly policy: HeartbeatPolicy,
    paths: number,
    private readonly term: () => number,
    private readonly listener: HeartbeatListener,
  ) {
    this.#monitor = new HeartbeatMonitor(policy, paths, monotonicMs());
    this.#channels = Array.from({ length: paths }, () => undefined);
    this.#timer = setInterval(() => this.#tick(), policy.intervalMs);
  }

  get summary(): { silentMs: number; timeoutMs: number; stalls: number } {
    const { timeoutMs, stalls } = this.#monitor;
    return { silentMs: Math.round(this.#silentMs), timeoutMs, stalls };
  }

  /** CLOCK_MONOTONIC ms at which any path was last heard. */
  get lastHeardAtMs(): number {
    return monotonicMs() - this.#silentMs;
  }

  /** Takes a connected path; a new one replaces the old one of the same number. */
  use(path: number, channel: FrameChannel): void {
    if (this.#closed || path >= this.#channels.length) {
      channel.destroy();
      return;
    }
    this.#channels[path]?.destroy();
    this.#channels[path] = channel;
    this.#monitor.heard(path, monotonicMs());
    channel.receive({
      onFrame: ({ payload }) => this.#onHeartbeat(path, payload),
      onClosed: () => {
        if (this.#channels[path] === channel) this.#channels[path] = undefined;
      },
    });
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
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
    if (heard > 0n && !this.#closed) this.listener.onHeard?.(Number(heard) / 1e6);
  }

  #heartbeat(): Buffer {
    const payload = Buffer.alloc(HEARTBEAT_BYTES);
    payload.writeBigUInt64LE(process.hrtime.bigint(), 0);
    payload.writeBigUInt64LE(this.#echo, 8);
    return payload;
  }

  #tick(): void {
    const now = monotonicMs();
    const lateMs = now - this.#lastTickMs - this.policy.intervalMs;
    this.#lastTickMs = now;
    const { silent, silentMs, stalled } = this.#monitor.look(now, this.listener.patience());
    this.#silentMs = silentMs;
    if (stalled) this.listener.onStall(lateMs);
    const payload = this.#heartbeat();
    for (const channel of this.#channels) {
      // A path that fails to send is a path that will be silent; the monitor judges that.
      channel
        ?.send({ type: 'heartbeat', epoch: 0, term: this.term() }, payload)
        .catch(() => undefined);
    }
    if (silent && !this.#reported) {
      this.#reported = true;
      this.listener.onSilent(silentMs);
    }
  }
}
