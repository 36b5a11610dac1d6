/**
 * The paused QEMU on the backup that a checkpoint is loaded into, once.
 *
 * libvirt calls it paused, QEMU "inmigrate". `virDomainResume` on it would answer success and
 * do nothing, so every step asks QEMU itself for its state first. A standby that died or was
 * loaded is never reused.
 */
import { access } from 'node:fs/promises';
import { UnderstudyError } from '../errors.js';
import type { DomainDescription } from './description.js';
import { incomingStream } from './device-state.js';
import type { ProtectedDomain } from './domain.js';
import { readDomainXml } from './domain-xml.js';
import { hypervisorError } from './errors.js';
import { type GuestIdentity, identityOf } from './identity.js';
import { loadDeviceState } from './incoming.js';
import { onReplicas, type ReplicaDisk } from './replica-disks.js';
import { runState, WAITING } from './run-state.js';
import { type StandbyRam, standbyMemory } from './standby-memory.js';
import { type StandbyXml, standbyXml } from './standby-xml.js';
import { checkDeviceState } from './whole-state.js';

/** Takes the primary's `describeDomain` as it is. */
export interface StandbyOptions extends DomainDescription, StandbyXml {
  /** Called once when the standby's QEMU ended without `destroy()` being asked for, promoted or not. */
  onDied?: (reason: string) => void;
}

/** What a standby needs of its connection. */
export interface StandbyHost {
  /** virDomainCreateXML with VIR_DOMAIN_START_PAUSED. */
  createPaused(xml: string): Promise<ProtectedDomain>;
  /** The running domain of that uuid, if there is one. */
  running(uuid: string): Promise<ProtectedDomain | undefined>;
  /** virDomainDefineXML */
  define(xml: string): Promise<ProtectedDomain>;
  /** Calls back when no QEMU of the domain is left; returns what unsubscribes. */
  onGone(uuid: string, listener: (reason: string) => void): () => void;
}

/** How long each step of a promotion took. */
export interface PromotionTimes {
  loadMs: number;
  resumeMs: number;
}

/** `announce-self`: five rounds, the first at once (defaults of QEMU's migration announcements). */
const ANNOUNCE_SELF = { initial: 50, max: 550, rounds: 5, step: 100 };

export class Standby {
  readonly domain: ProtectedDomain;
  readonly #host: StandbyHost;
  readonly #description: DomainDescription;
  readonly #disks: readonly ReplicaDisk[];
  readonly #machine: string;
  readonly #unsubscribe: () => void;
  #gone: string | undefined;
  #promoted = false;

  private constructor(domain: ProtectedDomain, host: StandbyHost, options: StandbyOptions) {
    this.domain = domain;
    this.#host = host;
    this.#description = options;
    this.#disks = options.disks ?? [];
    this.#machine = readDomainXml(options.definition).machine;
    this.#unsubscribe = host.onGone(domain.uuid, (reason) => {
      if (this.#gone !== undefined) return;
      this.#gone = reason;
      options.onDied?.(reason);
    });
  }

  /**
   * Starts a standby and returns when it waits for a checkpoint; nothing is left behind on failure.
   * A standby that an earlier session left waiting is ended first, a running guest never.
   * @throws HYP_STANDBY_FILE_MISSING, HYP_STANDBY_CONFLICT, HYP_STANDBY_START_FAILED, HYP_XML_BAD, LIBVIRT_…
   */
  static async start(host: StandbyHost, options: StandbyOptions): Promise<Standby> {
    const xml = standbyXml(options.definition, options);
    await requireFiles(xml);
    await clearLeftover(host, readDomainXml(xml).uuid);
    const standby = new Standby(await host.createPaused(xml), host, options);
    try {
      await standby.#requireStatus(WAITING, 'HYP_STANDBY_START_FAILED');
      await standby.memfds();
    } catch (error) {
      await standby.destroy();
      throw error;
    }
    return standby;
  }

  /** Undefined while its QEMU lives. */
  get diedBecause(): string | undefined {
    return this.#gone;
  }

  /** @throws HYP_STANDBY_MEMORY */
  memfds(): Promise<StandbyRam[]> {
    return standbyMemory(this.domain);
  }

  identity(): Promise<GuestIdentity> {
    return identityOf(this.domain);
  }

  /**
   * Loads `deviceState` over the replica's RAM, which must hold the same epoch, and lets the guest
   * run. A bad blob is refused before QEMU sees it (HYP_DEVICE_STATE_BAD, standby unharmed);
   * after any other failure destroy this standby. `announce` runs beside the resume, once the load
   * has succeeded: the network should know where the guest lives when its first packet comes.
   * @throws HYP_DEVICE_STATE_BAD, HYP_STANDBY_STATE, HYP_LOAD_FAILED, HYP_PROMOTE_FAILED
   */
  async promote(
    deviceState: Buffer,
    announce: () => Promise<void> = async () => undefined,
  ): Promise<PromotionTimes> {
    checkDeviceState(deviceState);
    const stream = incomingStream(deviceState, this.#machine);
    if (this.#promoted) throw this.#stateError('it has been promoted already');
    await this.#requireStatus(WAITING, 'HYP_STANDBY_STATE');
    this.#promoted = true;
    const startMs = performance.now();
    await loadDeviceState(this.domain, stream);
    const loadedMs = performance.now();
    const [resumedMs] = await Promise.all([this.#resume(), announce()]);
    return { loadMs: loadedMs - startMs, resumeMs: resumedMs - loadedMs };
  }

  async #resume(): Promise<number> {
    // Queued while the vCPUs stand still, sent as the first frames after they run.
    await this.domain.qmp('announce-self', ANNOUNCE_SELF);
    await this.domain.resume();
    await this.#requireStatus('running', 'HYP_PROMOTE_FAILED');
    return performance.now();
  }

  /** Keeps the promoted domain's definition on this host, as the primary's host kept it, but with the disks it has here. */
  async persist(): Promise<void> {
    const { definition, persistentXml } = this.#description;
    await this.#host.define(onReplicas(persistentXml ?? definition, this.#disks));
  }

  /** Ends the standby (or the promoted guest) at once. Harmless when it has died. */
  async destroy(): Promise<void> {
    const died = this.#gone !== undefined;
    this.#gone ??= 'destroyed';
    this.#unsubscribe();
    if (died) return;
    try {
      await this.domain.destroy();
    } catch (error) {
      // It died by itself and the event is still on its way.
      if (!(error instanceof UnderstudyError && error.code === 'LIBVIRT_NO_DOMAIN')) throw error;
    }
  }

  async #requireStatus(
    wanted: string,
    code: 'HYP_STANDBY_START_FAILED' | 'HYP_STANDBY_STATE' | 'HYP_PROMOTE_FAILED',
  ): Promise<void> {
    if (this.#gone !== undefined) throw this.#stateError(this.#gone);
    const status = await runState(this.domain);
    if (status !== wanted) {
      const message = `standby of ${this.domain.name} is ${status}, not ${wanted}`;
      throw hypervisorError(code, message, { domain: this.domain.name, facts: { status } });
    }
  }

  #stateError(why: string) {
    return hypervisorError('HYP_STANDBY_STATE', `standby of ${this.domain.name}: ${why}`, {
      domain: this.domain.name,
    });
  }
}

async function clearLeftover(host: StandbyHost, uuid: string): Promise<void> {
  const leftover = await host.running(uuid);
  if (leftover === undefined) return;
  const state = await runState(leftover);
  if (state !== WAITING) {
    throw hypervisorError('HYP_STANDBY_CONFLICT', `${leftover.name} is ${state} here already`, {
      operation: 'start standby',
      domain: leftover.name,
    });
  }
  await leftover.destroy();
}

async function requireFiles(xml: string): Promise<void> {
  const { name, hostFiles } = readDomainXml(xml);
  const readable = await Promise.allSettled(hostFiles.map((path) => access(path)));
  const missing = hostFiles.filter((_, index) => readable[index]?.status === 'rejected');
  if (missing.length > 0) {
    throw hypervisorError('HYP_STANDBY_FILE_MISSING', `missing here: ${missing.join(', ')}`, {
      operation: 'start standby',
      domain: name,
      facts: { missing },
    });
  }
}
