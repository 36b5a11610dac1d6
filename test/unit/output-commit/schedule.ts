/**
 * One schedule: a guest talks under protection, something fails at a moment that the seed chooses, the
 * backup takes over, and what the world outside has seen is compared with what the backup has.
 */
import type { PolicyOptions } from '../../../src/epoch/policy.js';
import { Backup, type Promotion } from './backup.js';
import { Guest } from './guest.js';
import { GuestMemory } from './guest-memory.js';
import { HEARTBEAT, HEARTBEAT_TIMEOUT_MS } from './heartbeats.js';
import { type Hold, makeHold } from './holds.js';
import { Link } from './link.js';
import { Outside } from './outside.js';
import { plugRule, ruleWithoutMerge } from './plug-rule.js';
import { Primary } from './primary.js';
import { Random } from './random.js';
import { type Settings, STRIKES, type Strike, type Verdict } from './settings.js';
import { MOMENTS, type Moment, World } from './world.js';

const NEVER = Number.POSITIVE_INFINITY;
const TERM = 1;
const FIRST_EPOCH = 1;
const LEASE_MS = 40;
/** A strike comes within this, at the latest. */
const TALK_MS = 120;
/** From the strike until everything that can still happen has happened. */
const AFTERMATH_MS = 150;
/** From the guest's last word until all of it has left, at most: several pauses in a row may fail. */
const DRAIN_MS = 500;
/** A moment's n-th time, n at most this; the rare ones' first. */
const OCCURRENCE_MAX = 5;
const RARE: ReadonlySet<Moment> = new Set<Moment>(['merged', 'pause failed']);

/** Runs the schedule of a seed; the same seed gives the same verdict and the same trace. */
export async function runSchedule(settings: Settings, tracing = false): Promise<Verdict> {
  const world = new World(new Random(settings.seed), tracing);
  world.install();
  try {
    return await new Scene(world, settings).play();
  } finally {
    World.uninstall();
    // The runner of the tests wants to live, too.
    await new Promise((resolve) => setImmediate(resolve));
  }
}

class Scene {
  readonly #outside: Outside;
  readonly #guest: Guest;
  readonly #memory: GuestMemory;
  readonly #hold: Hold;
  readonly #link: Link;
  readonly #backup: Backup;
  readonly #primary: Primary;
  #struck: Strike | undefined;
  #struckMoment: Moment | undefined;
  /** No heartbeat reaches that side before. */
  #deafUntilMs = { session: 0, backup: 0 };

  constructor(
    private readonly world: World,
    private readonly settings: Settings,
  ) {
    const { random } = world;
    const { planted, consistency, strikes } = settings;
    const outside = new Outside(world);
    const hold = this.#makeHold(outside);
    const tap = (stamp: number): void =>
      planted === 'hold opened' ? outside.hear(stamp) : hold.arrive(stamp);
    this.#outside = outside;
    this.#hold = hold;
    this.#guest = new Guest(world, tap);
    this.#memory = new GuestMemory(world, this.#guest, {
      busy: 0.04,
      drainFails: 0.06,
      // These may end the session: not where everything must have left in the end.
      stagingFull: strikes ? 0.1 : 0,
      saveFails: strikes ? 0.005 : 0,
      lateBoundary: planted === 'boundary after the resume',
    });
    this.#link = new Link(world, {
      latencyMs: random.between(0.5, 6),
      takenMs: random.between(0, 2),
      segmentBytesMax: random.integer(10, 200),
    });
    this.#backup = new Backup(world, this.#link.backup, {
      pages: this.#guest.pages.length,
      term: TERM,
      faults: {
        earlyAck: planted === 'acknowledged before whole',
        deafPromotion: planted === 'promoted and still committing',
        countsHeartbeatsAlone:
          consistency === 'strong' || planted === 'checkpoints do not count as signs of life',
      },
    });
    const leaseMs = planted === 'lease beyond the time-out' ? HEARTBEAT_TIMEOUT_MS * 2 : LEASE_MS;
    this.#primary = new Primary(world, this.#link.primary, this.#memory, hold, {
      term: TERM,
      policy: this.#policy(),
      leaseMs: consistency === 'timeline' ? leaseMs : undefined,
      faults: new Set(planted === 'released before the commit' ? ['release-early'] : []),
      sentIsCommitted: planted === 'sent counts as committed',
    });
  }

  async play(): Promise<Verdict> {
    const { world, settings } = this;
    this.#primary.start();
    this.#beat('session');
    this.#beat('backup');
    if (settings.strikes) {
      this.#planStrike();
      await world.run(TALK_MS, () => this.#struck !== undefined);
      // Of a host that is dead nothing can come any more.
      const enough = (): boolean => !world.lives('host') && this.#backup.promotion !== undefined;
      await world.run(world.nowMs + AFTERMATH_MS, enough);
    } else {
      await world.run(TALK_MS);
      this.#guest.mayTalk = false;
      const allHasLeft = (): boolean => this.#outside.heard.length === this.#guest.sent.length;
      await world.run(TALK_MS + DRAIN_MS, allHasLeft);
    }
    return {
      violations: this.#violations(),
      strike: this.#struck,
      moment: this.#struckMoment,
      promotion: this.#backup.promotion,
      seen: this.#outside.highest,
      dropped: this.#hold.dropped,
      trace: world.trace,
    };
  }

  #policy(): PolicyOptions | { name: 'overlapping'; intervalMs: number } {
    const { random } = this.world;
    switch (this.settings.policy) {
      case 'fixed':
        return { name: 'fixed', intervalMs: random.integer(5, 25) };
      case 'adaptive':
        return { name: 'adaptive', minIntervalMs: 2, maxIntervalMs: 60, pauseBudget: 0.5 };
      case 'overlapping':
        return { name: 'overlapping', intervalMs: random.integer(2, 10) };
    }
  }

  #makeHold(outside: Outside): Hold {
    const { world, settings } = this;
    const hold = makeHold(world, outside, {
      backend: settings.backend,
      // Sometimes so few that packets are lost, which must not upset the counting.
      limitPackets: settings.strikes && world.random.chance(0.2) ? 12 : 10_000,
      firstEpoch: FIRST_EPOCH,
      makeRule: settings.planted === 'no merge rule' ? ruleWithoutMerge : plugRule,
    });
    if (settings.planted === 'released at the pause') {
      const close = hold.onEpochClosed.bind(hold);
      hold.onEpochClosed = (epoch) => {
        close(epoch);
        void hold.release(epoch);
      };
    }
    return hold;
  }

  /** Either at some time, or exactly when a moment comes for the n-th time. */
  #planStrike(): void {
    const { world } = this;
    const { random } = world;
    const strike = random.pick(STRIKES);
    const moment = random.chance(0.2) ? undefined : random.pick(MOMENTS);
    const isRare = moment !== undefined && RARE.has(moment);
    let still = isRare ? 1 : random.integer(1, OCCURRENCE_MAX);
    world.onMoment = (reached) => {
      if (reached !== moment || this.#struck !== undefined) return;
      still -= 1;
      if (still > 0) return;
      this.#struckMoment = moment;
      this.#strike(strike);
    };
    const latestMs = moment === undefined ? random.between(0, TALK_MS) : TALK_MS;
    world.after('network', latestMs, () => this.#strike(strike));
  }

  #strike(strike: Strike): void {
    if (this.#struck !== undefined) return;
    const { world } = this;
    this.#struck = strike;
    world.note(`STRIKE: ${strike}`);
    switch (strike) {
      case 'host dies':
        world.end('host');
        this.#link.cut();
        return;
      case 'session dies':
        world.end('session');
        this.#link.cut();
        return;
      case 'link is cut':
        this.#deafUntilMs = { session: NEVER, backup: NEVER };
        this.#link.cut();
        return;
      case 'link stalls': {
        const stallMs = HEARTBEAT_TIMEOUT_MS * world.random.between(0.7, 2);
        const endsAtMs = world.nowMs + stallMs;
        this.#deafUntilMs = { session: endsAtMs, backup: endsAtMs };
        this.#link.stall(stallMs);
        return;
      }
      case 'heartbeats are lost':
        this.#deafUntilMs = { session: 0, backup: NEVER };
    }
  }

  /** Heartbeats have a connection of their own; what it cannot carry now is heard when it can. */
  #beat(from: 'session' | 'backup'): void {
    const { world } = this;
    world.after(from, HEARTBEAT.intervalMs, () => {
      if (from === 'session' && this.#primary.hasGivenUp) return;
      const [to, peer] =
        from === 'session'
          ? (['backup', this.#backup] as const)
          : (['session', this.#primary] as const);
      const latencyMs = world.random.between(0, this.#link.timing.latencyMs);
      const delayMs = Math.max(latencyMs, this.#deafUntilMs[to] - world.nowMs);
      world.after('network', delayMs, () => {
        if (world.lives(to)) peer.hearHeartbeat();
      });
      this.#beat(from);
    });
  }

  /** A short stall is no failure, and where checkpoints count as signs of life, who ships them lives. */
  get #mayHaveLived(): boolean {
    return this.#struck === 'link stalls' || this.#struck === 'heartbeats are lost';
  }

  #violations(): string[] {
    const { promotion } = this.#backup;
    const { highest, disorder } = this.#outside;
    const violations = [...disorder];
    if (this.settings.strikes) {
      if (promotion !== undefined) violations.push(...this.#promotionFlaws(promotion));
      else if (!this.#mayHaveLived) violations.push('nobody took over');
    } else {
      if (promotion !== undefined)
        violations.push('the backup took over though nothing had failed');
      const heard = this.#outside.heard.length;
      const sent = this.#guest.sent.length;
      if (heard !== sent) violations.push(`${heard} of ${sent} packets have left`);
      if (highest === 0) violations.push('nothing was sent');
    }
    return violations;
  }

  #promotionFlaws({ epoch, counter, ram, atMs }: Promotion): string[] {
    const flaws: string[] = [];
    const { highest, lastHeardAtMs } = this.#outside;
    if (this.settings.consistency === 'strong' && highest > counter) {
      flaws.push(`outside has seen ${highest}, the backup goes on from ${counter}`);
    }
    if (this.settings.consistency === 'timeline' && lastHeardAtMs >= atMs) {
      flaws.push(`two speakers: promoted at ${atMs}, the old one heard at ${lastHeardAtMs}`);
    }
    const ramThen = this.#memory.ramAtPause.get(epoch)?.join() ?? ram.map(() => 0).join();
    if (ram.join() !== ramThen) flaws.push(`RAM ${ram.join()} at epoch ${epoch}, was ${ramThen}`);
    if (Math.max(...ram) !== counter) flaws.push(`RAM and device state of different moments`);
    return flaws;
  }
}
