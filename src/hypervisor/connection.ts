/** One connection to this host's libvirt, and everything that starts from it. */
import {
  type NativeConnection,
  type NativeDeviceEvent,
  type NativeDomain,
  native,
} from '../native.js';
import { type BlockJobEvent, blockJobEvent } from './block-jobs.js';
import { type CheckReport, checkDomain } from './check.js';
import { ProtectedDomain } from './domain.js';
import { callLibvirt } from './libvirt-call.js';
import { isGone, type LifecycleEvent, lifecycleEvent } from './lifecycle.js';
import {
  CONNECT_TIMEOUT_MS,
  INSPECT_TIMEOUT_MS,
  KEEPALIVE_COUNT,
  KEEPALIVE_INTERVAL_S,
  LIFECYCLE_TIMEOUT_MS,
} from './limits.js';
import type { MirrorHost } from './mirror-jobs.js';
import { runState, WAITING } from './run-state.js';
import { Standby, type StandbyHost, type StandbyOptions } from './standby.js';

export interface HypervisorOptions {
  uri: string;
  /** Called once when libvirt reports the connection dead; not after `close()`. */
  onClosed?: (reason: string) => void;
}

/** A device was plugged into or out of a running domain. */
export interface DeviceEvent {
  uuid: string;
  /** libvirt's name of it: net1. */
  alias: string;
  kind: 'added' | 'removed';
}

export interface DomainRef {
  name: string;
  uuid: string;
  running: boolean;
}

export interface Versions {
  /** The newest QEMU of the host; a domain's own is in its DomainFacts. */
  qemu: string;
  libvirt: string;
}

/** virConnectCloseReason */
const CLOSE_REASONS = ['error', 'end of file', 'keepalive timeout', 'closed by client'];
/** virDomainCreateFlags: VIR_DOMAIN_START_PAUSED */
const START_PAUSED = 1;

/** @throws LIBVIRT_…, HYP_MONITOR_TIMED_OUT */
export async function openHypervisor(options: HypervisorOptions): Promise<Hypervisor> {
  let hypervisor: Hypervisor | undefined;
  let closedEarly: string | undefined;
  const onClosed = (code: number) => {
    const reason = CLOSE_REASONS[code] ?? `reason ${code}`;
    if (hypervisor === undefined) closedEarly = reason;
    else hypervisor.lost(reason);
  };
  const connection = await callLibvirt({ operation: 'open' }, CONNECT_TIMEOUT_MS, () =>
    native.libvirt.open({
      uri: options.uri,
      keepaliveIntervalS: KEEPALIVE_INTERVAL_S,
      keepaliveCount: KEEPALIVE_COUNT,
      onClosed,
    }),
  );
  hypervisor = new Hypervisor(connection, options);
  try {
    await hypervisor.subscribe();
  } catch (error) {
    await hypervisor.close();
    throw error;
  }
  if (closedEarly !== undefined) hypervisor.lost(closedEarly);
  return hypervisor;
}

export class Hypervisor implements StandbyHost, MirrorHost {
  readonly uri: string;
  readonly #connection: NativeConnection;
  readonly #onClosed: ((reason: string) => void) | undefined;
  readonly #listeners = new Set<(event: LifecycleEvent) => void>();
  readonly #blockJobListeners = new Set<(event: BlockJobEvent) => void>();
  readonly #deviceListeners = new Set<(event: DeviceEvent) => void>();
  #closed = false;

  /** Use `openHypervisor`. */
  constructor(connection: NativeConnection, options: HypervisorOptions) {
    this.uri = options.uri;
    this.#connection = connection;
    this.#onClosed = options.onClosed;
  }

  /** Ends the connection; domains go on. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#listeners.clear();
    this.#blockJobListeners.clear();
    this.#deviceListeners.clear();
    await callLibvirt({ operation: 'close' }, LIFECYCLE_TIMEOUT_MS, () => this.#connection.close());
  }

  async versions(): Promise<Versions> {
    const qemu = await this.#call('version', () => this.#connection.hypervisorVersion());
    const libvirt = await this.#call('version', () => this.#connection.libvirtVersion());
    return { qemu: versionWords(qemu), libvirt: versionWords(libvirt) };
  }

  async list(): Promise<DomainRef[]> {
    const refs = await this.#call('list', () => this.#connection.listDomains(0));
    return refs.map(({ name, uuid, id }) => ({ name, uuid, running: id >= 0 }));
  }

  /** @throws LIBVIRT_NO_DOMAIN */
  async domain(name: string): Promise<ProtectedDomain> {
    const names = { operation: 'look up', domain: name };
    return new ProtectedDomain(
      await callLibvirt(names, INSPECT_TIMEOUT_MS, () => this.#connection.lookupByName(name)),
    );
  }

  /** Events of all domains from now on; returns what unsubscribes. */
  onLifecycle(listener: (event: LifecycleEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  onGone(uuid: string, listener: (reason: string) => void): () => void {
    return this.onLifecycle((event) => {
      if (event.uuid === uuid && isGone(event)) listener(`${event.kind} (detail ${event.detail})`);
    });
  }

  onBlockJob(uuid: string, listener: (event: BlockJobEvent) => void): () => void {
    const own = (event: BlockJobEvent) => {
      if (event.uuid === uuid) listener(event);
    };
    this.#blockJobListeners.add(own);
    return () => this.#blockJobListeners.delete(own);
  }

  /** Devices plugged into or out of that domain while it runs; returns what unsubscribes. */
  onDevice(uuid: string, listener: (event: DeviceEvent) => void): () => void {
    const own = (event: DeviceEvent) => {
      if (event.uuid === uuid) listener(event);
    };
    this.#deviceListeners.add(own);
    return () => this.#deviceListeners.delete(own);
  }

  /**
   * Every reason why `name` cannot be protected, at once. Block copies to sockets below `runDir` are
   * our own and no reason.
   */
  async check(name: string, runDir?: string): Promise<CheckReport> {
    return checkDomain(await this.domain(name), runDir);
  }

  /** Ends the domain if it is a standby that waits for its checkpoint; a running guest is never touched. */
  async destroyStandby(name: string): Promise<void> {
    const refs = await this.list();
    if (!refs.some((ref) => ref.name === name && ref.running)) return;
    const domain = await this.domain(name);
    if ((await runState(domain)) === WAITING) await domain.destroy();
  }

  /** `waiting`: a standby that no checkpoint was loaded into. */
  async presence(name: string): Promise<'running' | 'waiting' | 'stopped'> {
    const refs = await this.list();
    if (!refs.some((ref) => ref.name === name && ref.running)) return 'stopped';
    return (await runState(await this.domain(name))) === WAITING ? 'waiting' : 'running';
  }

  startStandby(options: StandbyOptions): Promise<Standby> {
    return Standby.start(this, options);
  }

  async createPaused(xml: string): Promise<ProtectedDomain> {
    const names = { operation: 'start standby' };
    let created: Promise<NativeDomain> | undefined;
    try {
      const start = () => {
        created = this.#connection.createXml(xml, START_PAUSED);
        return created;
      };
      return new ProtectedDomain(await callLibvirt(names, LIFECYCLE_TIMEOUT_MS, start));
    } catch (error) {
      // One that comes up after we gave up belongs to nobody. That it does not is the usual
      // case, and is the error being thrown.
      created?.then((late) => late.destroy(0)).catch(() => undefined);
      throw error;
    }
  }

  async define(xml: string): Promise<ProtectedDomain> {
    const domain = await callLibvirt({ operation: 'define' }, LIFECYCLE_TIMEOUT_MS, () =>
      this.#connection.defineXml(xml, 0),
    );
    return new ProtectedDomain(domain);
  }

  async running(uuid: string): Promise<ProtectedDomain | undefined> {
    const refs = await this.list();
    const ref = refs.find((domain) => domain.uuid === uuid && domain.running);
    return ref === undefined ? undefined : this.domain(ref.name);
  }

  /** For `openHypervisor`: libvirt says that the connection is dead. */
  lost(reason: string): void {
    if (this.#closed) return;
    this.#onClosed?.(reason);
  }

  /** For `openHypervisor`: one native subscription per kind of event, shared by all listeners. */
  async subscribe(): Promise<void> {
    await this.#call('subscribe', () =>
      this.#connection.onLifecycle((event) => {
        for (const listener of [...this.#listeners]) listener(lifecycleEvent(event));
      }),
    );
    await this.#call('subscribe', () =>
      this.#connection.onBlockJob((event) => {
        for (const listener of [...this.#blockJobListeners]) listener(blockJobEvent(event));
      }),
    );
    const tellDevice =
      (kind: DeviceEvent['kind']) =>
      ({ uuid, alias }: NativeDeviceEvent): void => {
        for (const listener of [...this.#deviceListeners]) listener({ uuid, alias, kind });
      };
    await this.#call('subscribe', () => this.#connection.onDeviceAdded(tellDevice('added')));
    await this.#call('subscribe', () => this.#connection.onDeviceRemoved(tellDevice('removed')));
  }

  #call<T>(operation: string, start: () => Promise<T>): Promise<T> {
    return callLibvirt({ operation }, INSPECT_TIMEOUT_MS, start);
  }
}

/** libvirt's major * 1,000,000 + minor * 1,000 + release. */
function versionWords(version: number): string {
  return [version / 1_000_000, (version / 1_000) % 1_000, version % 1_000]
    .map(Math.trunc)
    .join('.');
}
