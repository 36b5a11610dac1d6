/**
 * What the demo's scenarios play on: two hosts with an agent each, a guest that host a runs first, a client in
 * the middle of its one conversation with it. Each fault and what came of it becomes a `Turn`.
 */

import { randomInt } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { readEvents } from '../../agent/events/event-tail.js';
import { STATE_DIR_DEFAULT } from '../../agent/limits.js';
import type { DomainStatus, Reason, Takeover } from '../../agent/status.js';
import { monotonicMs } from '../../clock.js';
import type { GuestOptions } from '../guest.js';
import { HostPair } from '../host-pair.js';
import type { Lab } from '../lab.js';
import { HOST_NAMES, type HostName } from '../layout.js';
import { Listener } from '../listener.js';
import type { TakeoverVerdict } from '../stamp-log.js';
import { ClientProcess } from './client-process.js';
import type { ConversationReport, Wait } from './conversation.js';
import type { DemoOptions, Turn } from './figures.js';
import { type StatesSeen, statesOf } from './states-seen.js';

/** What happens, as it happens. */
export interface Narrator {
  phase(text: string): void;
  syncing(status: DomainStatus): void;
  epochs(status: DomainStatus, client: ConversationReport | undefined): void;
}

/** What a scenario needs. */
export interface StagePlan {
  /** `manual`: what follows a takeover is left to an operator, who does not come. */
  recovery: 'automatic' | 'manual';
  /** A listener proves that never two hosts are heard. */
  listens?: boolean;
}

/** What was done to the hosts, and when (CLOCK_MONOTONIC ms). */
export type Fault = Pick<Turn, 'what' | 'atMs'>;

/** How it was before the first fault. */
export interface Beginning {
  /** CLOCK_MONOTONIC ms, both. */
  askedAtMs: number;
  protectedAtMs: number;
  /** The primary's last status. */
  primary: DomainStatus;
  /** From pause to pause, median. */
  apartMs: number;
}

export const DOMAIN = 'demo';
const STATE_TIMEOUT_MS = 60_000;
/** TCP's own retransmission waits up to twice as long as the silence was. */
const ANSWER_TIMEOUT_MS = 30_000;
const LOOK_EVERY_MS = 500;
/** The conversation before protection, to compare with. */
const UNPROTECTED_MS = 1_000;
/** The conversation goes on this long after each turn. */
const AFTERWARDS_MS = 1_500;
/** Epochs before the next fault: some ten. */
const PROTECTED_FOR_MS = 1_000;
/** A fault falls at a random moment of these last milliseconds: any point of an epoch. */
const FAULT_SPREAD_MS = 200;
/** More than any scenario has. */
const EVENTS_MAX = 10_000;

const REDIS_ON_DISK: Pick<GuestOptions, 'disks' | 'options'> = {
  disks: [{ name: 'vda', format: 'raw', mib: 256, filesystem: 'ext4' }],
  options: { data: 'vda', redis_disk: 1 },
};
const TALKER_HZ = 200;

export class Stage {
  readonly turns: Turn[] = [];
  /** Of each takeover, what the listener heard. */
  readonly verdicts: TakeoverVerdict[] = [];
  /** Packets of a host while it was the backup. */
  heardOfBackup = 0;
  #askedAtEpochMs = 0;

  private constructor(
    readonly lab: Lab,
    readonly pair: HostPair,
    readonly client: ClientProcess,
    readonly listener: Listener | undefined,
    readonly options: DemoOptions,
    private readonly tell: Narrator,
  ) {}

  /** The client talks to the guest when this resolves; what was started goes down with the laboratory. */
  static async set(
    { lab, startedAtMs }: { lab: Lab; startedAtMs: number },
    options: DemoOptions,
    { listens = false, recovery }: StagePlan,
    tell: Narrator,
  ): Promise<Stage> {
    tell.phase('two hosts with libvirt are up, a network and a client beside them');
    // Before the guest, whose talker would be refused its stream.
    const listener = listens ? await Listener.start(lab) : undefined;
    const { disk: hasDisk = true, memoryMib, vcpus, machine } = options;
    const onDisk = hasDisk ? REDIS_ON_DISK : {};
    const [pair, guest] = await Promise.all([
      HostPair.start(lab),
      lab.startGuest({
        ...{ name: DOMAIN, memoryMib, vcpus, machine },
        define: recovery === 'automatic',
        ...onDisk,
        run: ['redis', 'beacon', ...(listens ? (['talker'] as const) : [])],
        options: { ...onDisk.options, ...(listens ? { talker_hz: TALKER_HZ } : {}) },
      }),
    ]);
    const bootS = ((monotonicMs() - startedAtMs) / 1000).toFixed(1);
    tell.phase(`a Linux guest runs on host a and serves Redis (${bootS} s after the start)`);
    if (hasDisk) tell.phase('Redis answers a write when it is on the guest’s disk (ext4)');
    if (listens) tell.phase('a listener hears what comes out of both hosts’ cables');
    const client = await ClientProcess.start(lab, guest.ip);
    tell.phase('a client opened its one connection; it will never reconnect');
    return new Stage(lab, pair, client, listener, options, tell);
  }

  /** Protects the guest on host b and lets the conversation go on for a while. */
  async begin({ recovery }: StagePlan): Promise<Beginning> {
    await delay(UNPROTECTED_MS);
    const askedAtMs = monotonicMs();
    this.#askedAtEpochMs = Date.now();
    const { policy, faults, heartbeatMissed } = this.options;
    await this.pair.protect(DOMAIN, {
      ...policy,
      ...(heartbeatMissed === undefined ? {} : { heartbeat: { missedMax: heartbeatMissed } }),
      faults: [...faults],
      recovery,
      onStatus: this.tell.syncing,
    });
    const protectedAtMs = monotonicMs();
    const syncS = ((protectedAtMs - askedAtMs) / 1000).toFixed(2);
    this.say(`protected: host b can take over (${syncS} s after asking)`);
    this.client.mark();
    return { askedAtMs, protectedAtMs, ...(await this.#watch()) };
  }

  say(text: string): void {
    this.tell.phase(text);
  }

  status(host: HostName): Promise<DomainStatus> {
    return this.pair.agent(host).client.status(DOMAIN);
  }

  /** @throws LAB_STATE_NOT_REACHED */
  waitFor(host: HostName, wanted: (status: DomainStatus) => boolean): Promise<DomainStatus> {
    return this.pair.waitFor(host, DOMAIN, wanted, STATE_TIMEOUT_MS);
  }

  /** Why it is degraded, or was for a moment, since the epoch ms `sinceMs`. @throws LAB_STATE_NOT_REACHED */
  async degraded(host: HostName, sinceMs: number): Promise<Reason | undefined> {
    const when = { since: new Date(sinceMs), timeoutMs: STATE_TIMEOUT_MS };
    return (await this.pair.waitEntered(host, DOMAIN, 'degraded', when)).reason;
  }

  /** Both hosts say so; the conversation goes on for a while. @throws LAB_STATE_NOT_REACHED */
  async protectedFrom(host: HostName): Promise<void> {
    const other = otherThan(host);
    await this.waitFor(host, ({ role, state }) => role === 'primary' && state === 'protected');
    await this.waitFor(other, ({ role, state }) => role === 'backup' && state === 'protected');
    this.say(`protected: host ${host} runs the guest, host ${other} can take over`);
    await delay(PROTECTED_FOR_MS + randomInt(FAULT_SPREAD_MS));
  }

  /** SIGKILL to the guest's QEMU, or the host loses power. */
  async kill(host: HostName, what: DemoOptions['kill']): Promise<Fault> {
    if (what === 'host') {
      const { diedAtNs } = await this.lab.killHost(host);
      this.say(`KILL: host ${host} loses power (agent, QEMU, libvirtd and cables at once)`);
      return { what: `host ${host} killed`, atMs: Number(diedAtNs) / 1e6 };
    }
    const { qemuPid } = await this.status(host);
    if (qemuPid === undefined) throw new TypeError(`${DOMAIN} has no QEMU on host ${host}`);
    process.kill(qemuPid, 'SIGKILL');
    const atMs = monotonicMs();
    this.say(`KILL: SIGKILL to the guest’s QEMU on host ${host}`);
    return { what: `QEMU on host ${host} killed`, atMs };
  }

  /**
   * `host` takes the guest over after what happened at `atMs` (CLOCK_MONOTONIC), the client is answered, and the
   * conversation goes on for a while. @throws LAB_STATE_NOT_REACHED
   */
  async takenOver({ host, ...fault }: Fault & { host: HostName }): Promise<void> {
    const isNew = ({ takeover }: DomainStatus): boolean =>
      takeover !== undefined && takeover.resumedAtMs > fault.atMs;
    // A host that protects the guest again by itself is `promoted` for a moment only.
    const status = await this.waitFor(host, (now) => now.state === 'failed' || isNew(now));
    const { reason } = status;
    const takeover = isNew(status) ? status.takeover : undefined;
    if (takeover === undefined) this.say(`no takeover: ${reason?.code} ${reason?.message}`);
    else this.#tellTakeover(takeover, fault.atMs);
    const overAtMs = takeover?.resumedAtMs ?? monotonicMs();
    await this.turn({ ...fault, overAtMs, ...(takeover === undefined ? {} : { takeover }) });
  }

  /** Ends a turn: the client is answered again, and the conversation goes on for a while. */
  async turn(
    facts: Omit<Turn, 'longest' | 'held'>,
    isHeld?: (longest: Wait) => boolean,
  ): Promise<void> {
    const { atMs, overAtMs } = facts;
    const first = await this.client.waited(atMs, overAtMs, ANSWER_TIMEOUT_MS);
    if (first === undefined) {
      this.say(`no answer on the client’s connection within ${ANSWER_TIMEOUT_MS / 1000} s`);
    }
    await delay(AFTERWARDS_MS);
    const longest = await this.client.waited(atMs, monotonicMs(), ANSWER_TIMEOUT_MS);
    this.turns.push({
      ...facts,
      ...(longest === undefined ? {} : { longest }),
      ...(longest === undefined || isHeld === undefined ? {} : { held: isHeld(longest) }),
    });
    if (longest === undefined) return;
    const waited = `the client’s longest wait was ${(longest.toMs - longest.fromMs).toFixed(0)} ms`;
    const isFirst = facts.takeover !== undefined || isHeld !== undefined;
    const firstMs = (longest.toMs - atMs).toFixed(0);
    this.say(isFirst ? `first answer ${firstMs} ms later; ${waited}` : waited);
  }

  /** What both hosts let out since the listener was last told to expect a takeover. */
  async judgeTakeover(to: HostName): Promise<void> {
    await this.listener?.settle();
    const verdict = this.listener?.log.verdict(to);
    if (verdict === undefined) return this.say('nothing is proven: the listener heard nothing');
    this.verdicts.push(verdict);
    this.say(
      `host ${verdict.from} was heard ${verdict.spokeAfter} times after the first word of host ` +
        `${to}; ${verdict.heldBack} packets of its guest never left`,
    );
  }

  /** What `host`, the backup, let out since it was last expected to take over: nothing. */
  async judgeBackup(host: HostName): Promise<void> {
    if (this.listener === undefined) return;
    await this.listener.settle();
    const counts = Object.values(this.listener.log.outside(host));
    const heard = counts.reduce((sum, count) => sum + count, 0);
    this.heardOfBackup += heard;
    this.say(`host ${host}, the backup, was heard ${heard} times`);
  }

  /** From both hosts' events; those of a host without power are on its disk. */
  async statesSeen(): Promise<StatesSeen> {
    const [a, b] = await Promise.all(
      HOST_NAMES.map(async (host) => {
        const stateDir = `${this.pair.lab.host(host).runDir}${STATE_DIR_DEFAULT}`;
        const events = await readEvents(stateDir, { domain: DOMAIN, count: EVENTS_MAX });
        return statesOf(events, this.#askedAtEpochMs);
      }),
    );
    return { a: a ?? [], b: b ?? [] };
  }

  /** Epochs as they go by, until the first fault is due. */
  async #watch(): Promise<Pick<Beginning, 'primary' | 'apartMs'>> {
    const endMs = monotonicMs() + this.options.durationS * 1000;
    const { client: agent } = this.pair.agent('a');
    while (monotonicMs() < endMs) {
      await delay(Math.min(LOOK_EVERY_MS, Math.max(1, endMs - monotonicMs())));
      this.tell.epochs(await agent.status(DOMAIN), this.client.latest);
    }
    await delay(randomInt(FAULT_SPREAD_MS));
    const { apartMs } = await agent.epochs(DOMAIN);
    return { primary: await agent.status(DOMAIN), apartMs: apartMs.p50 };
  }

  #tellTakeover(takeover: Takeover, sinceMs: number): void {
    const { cause, decidedAtMs, promoteMs, epoch, diskEpoch, discardedBytes } = takeover;
    const why = CAUSES[cause] ?? cause;
    this.say(`detected after ${(decidedAtMs - sinceMs).toFixed(0)} ms (${why})`);
    const disk = diskEpoch === undefined ? '' : `, its disk is at ${diskEpoch}`;
    this.say(
      `promoted in ${promoteMs.toFixed(1)} ms from epoch ${epoch}${disk}; ` +
        `${discardedBytes} bytes of an incomplete epoch thrown away`,
    );
  }
}

const CAUSES: Readonly<Record<string, string>> = {
  peerYielded: 'its host says that QEMU died',
  peerLost: 'silence on every path',
  switchover: 'asked for',
};

export const otherThan = (host: HostName): HostName => (host === 'a' ? 'b' : 'a');
