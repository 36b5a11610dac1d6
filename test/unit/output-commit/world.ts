/**
 * Virtual time, and who is alive in it.
 *
 * Everything that happens is an event at a virtual moment, owned by somebody; what a dead owner had
 * in hand never happens. Timers and clocks of the real code run on the same queue (`install`). After
 * each event all promises settle before the next one, so a schedule is a function of its seed.
 */
import { vi } from 'vitest';
import type { Random } from './random.js';

/**
 * `host`: the primary's kernel and its guest. `session`: the process that protects it, with its threads
 * (dies with the host, and alone). `network`: between the hosts. `backup`: never dies here.
 */
export type Owner = 'host' | 'session' | 'network' | 'backup';

/** Moments of the protocol at which a schedule may strike exactly. */
export const MOMENTS = [
  'paused',
  'boundary',
  'captured',
  'pause failed',
  'resumed',
  'merged',
  'arrived in part',
  'committed',
  'acknowledged',
  'releasing',
] as const;
export type Moment = (typeof MOMENTS)[number];

interface Happening {
  readonly atMs: number;
  readonly owner: Owner;
  readonly action: () => void;
}

export class World {
  nowMs = 0;
  /** Called at each moment of the protocol. */
  onMoment: (moment: Moment) => void = () => undefined;
  /** What happened, when tracing is asked for. */
  readonly trace: string[] = [];
  readonly #dead = new Set<Owner>();
  readonly #onEnd: { owner: Owner; action: () => void }[] = [];
  /** In order of time; the next one is last. */
  readonly #queue: Happening[] = [];

  constructor(
    readonly random: Random,
    private readonly tracing: boolean,
  ) {}

  lives(owner: Owner): boolean {
    return !this.#dead.has(owner);
  }

  /** From now on nothing that `owner` had planned happens. */
  end(owner: Owner): void {
    if (this.#dead.has(owner)) return;
    this.#dead.add(owner);
    this.note(`${owner} dies`);
    if (owner === 'host') this.end('session');
    for (const ended of this.#onEnd) if (ended.owner === owner) ended.action();
  }

  onEnd(owner: Owner, action: () => void): void {
    this.#onEnd.push({ owner, action });
  }

  after(owner: Owner, delayMs: number, action: () => void): Happening {
    const happening = { atMs: this.nowMs + Math.max(0, delayMs), owner, action };
    let at = this.#queue.length;
    while (at > 0 && (this.#queue[at - 1]?.atMs ?? 0) <= happening.atMs) at -= 1;
    this.#queue.splice(at, 0, happening);
    return happening;
  }

  cancel(happening: Happening): void {
    const at = this.#queue.indexOf(happening);
    if (at >= 0) this.#queue.splice(at, 1);
  }

  /** Resolves after a random part of `upToMs`; never, when `owner` is dead by then. */
  sleep(owner: Owner, upToMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.after(owner, this.random.between(0, upToMs), resolve);
    });
  }

  moment(moment: Moment): void {
    this.note(moment);
    this.onMoment(moment);
  }

  note(text: string): void {
    if (this.tracing) this.trace.push(`${this.nowMs.toFixed(3)} ${text}`);
  }

  /** Lets everything happen until `untilMs`, or until `enough` says so. */
  async run(untilMs: number, enough: () => boolean = () => false): Promise<void> {
    await settled();
    while (!enough()) {
      const next = this.#queue.at(-1);
      if (next === undefined || next.atMs > untilMs) break;
      this.#queue.pop();
      if (!this.lives(next.owner)) continue;
      this.nowMs = next.atMs;
      next.action();
      await settled();
    }
  }

  /**
   * Timers and clocks of the code under test, all of it the session's. Undo with `uninstall`. As in Node a
   * timer counts whole milliseconds, at least one.
   */
  install(): void {
    vi.stubGlobal('setTimeout', (action: () => void, delayMs = 0) =>
      this.after('session', Math.max(1, Math.trunc(delayMs)), action),
    );
    vi.stubGlobal('clearTimeout', (timer: Happening | undefined) => {
      if (timer !== undefined) this.cancel(timer);
    });
    vi.stubGlobal('performance', { now: () => this.nowMs });
  }

  static uninstall(): void {
    vi.unstubAllGlobals();
  }

  get nowNs(): bigint {
    return BigInt(Math.round(this.nowMs * 1e6));
  }
}

/** A tick that is asked for by a promise comes when all promises have settled, also those they lead to. */
function settled(): Promise<void> {
  return new Promise((resolve) => {
    process.nextTick(resolve);
  });
}
