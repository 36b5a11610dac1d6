/**
 * The running guest on the primary, taken hold of: its memory tracked, its pause ready, its output
 * held when asked. Closing it leaves QEMU as it was found; held output is never released by closing.
 */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { deferred } from '../../deferred.js';
import { DiskMirror } from '../../diskmirror/disk-mirror.js';
import type { Fault } from '../../epoch/faults.js';
import { messageOf } from '../../errors.js';
import { type Hypervisor, openHypervisor } from '../../hypervisor/connection.js';
import { type DomainDescription, describeDomain } from '../../hypervisor/description.js';
import type { ProtectedDomain } from '../../hypervisor/domain.js';
import { identityOf } from '../../hypervisor/identity.js';
import { type DomainFacts, inspectDomain, type MirroredDisk } from '../../hypervisor/inspect.js';
import { endLeftoverJobs } from '../../hypervisor/leftover-jobs.js';
import { MirrorJobs } from '../../hypervisor/mirror-jobs.js';
import { OwnMonitor } from '../../hypervisor/own-monitor.js';
import { choosePauseSource } from '../../hypervisor/pause.js';
import type { PauseSource, PauseThrough } from '../../hypervisor/pause-source.js';
import { ramMap } from '../../hypervisor/ram-map.js';
import { hasOwnMonitor } from '../../hypervisor/standby-xml.js';
import { VcpuLoad } from '../../hypervisor/vcpu-load.js';
import { type NativeGuestMemory, native } from '../../native.js';
import { chooseBackend } from '../../netbuffer/backends.js';
import type { HoldBackend, HoldTrouble } from '../../netbuffer/output-hold.js';
import type { GuestIdentity } from '../../wire/messages.js';
import { checkAll } from '../domain/check.js';
import { agentError } from '../errors.js';
import { VITAL_SIGN_TIMEOUT_MS } from '../limits.js';
import { LOG_EVENTS, type Log } from '../log.js';
import type { PrimaryConfig } from '../session/session-config.js';
import { sessionPaths } from '../session/session-control.js';
import type { HoldSummary } from '../status.js';
import { type GuestEnd, watchGuestEnd } from './guest-end.js';
import { HoldSet } from './hold-set.js';

/** More threads than this only wait for memory. */
const CAPTURE_THREADS_MAX = 4;

export interface GuestListener {
  log: Log;
  faults: ReadonlySet<Fault>;
  /** Once. */
  onEnded(end: GuestEnd): void;
  /** A disk's mirror broke: the epochs must stop. */
  onMirrorLost(error: Error): void;
  /** A device was plugged in or out: the standby is not the same machine any more. */
  onDevicesChanged(what: string): void;
  onOutputWaits(openEpoch: number): void;
  onInboundBegan(): void;
  onHoldFills(): void;
  onHoldTrouble(tap: string, trouble: HoldTrouble): void;
  /** The connection to libvirt is dead; the guest runs on, and can be attached to again. */
  onLibvirtLost(reason: string): void;
}

/** The monitor that its QEMU has for us alone, if it was started as a standby of ours. */
async function openOwnMonitor(
  { runDir, domain: name }: PrimaryConfig,
  domain: ProtectedDomain,
  { pid, uid }: DomainFacts,
  log: Log,
): Promise<OwnMonitor | undefined> {
  const path = sessionPaths(runDir, name, 'primary').monitorSocket(domain.uuid);
  if (!hasOwnMonitor(await domain.liveXml(), path)) return undefined;
  try {
    return await OwnMonitor.listen({ domain: name, path, pid, uid });
  } catch (error) {
    // Pauses go through libvirt as well, only slower.
    log.warn(LOG_EVENTS.ownMonitor, { error: messageOf(error) });
    return undefined;
  }
}

/** The mirror of the guest's disks; nothing is started yet. */
async function openMirror(
  config: PrimaryConfig,
  session: string,
  guest: { hypervisor: Hypervisor; domain: ProtectedDomain; facts: DomainFacts },
  listener: GuestListener,
): Promise<DiskMirror> {
  const { hypervisor, domain, facts } = guest;
  const { mirrorSocket } = sessionPaths(config.runDir, config.domain, 'primary');
  const socketPath = mirrorSocket(domain.uuid);
  // QEMU runs as a user of its own, who must be able to enter.
  await mkdir(dirname(socketPath), { recursive: true, mode: 0o711 });
  await mkdir(config.stateDir, { recursive: true, mode: 0o711 });
  return new DiskMirror({
    domain: config.domain,
    session,
    disks: facts.mirrored.map(({ name, bytes }) => ({ name, bytes })),
    socketPath,
    ownerUid: facts.uid,
    spillDirectory: config.stateDir,
    shiftBarrier: listener.faults.has('shift-barrier'),
    startJobs: async (onLost) => {
      const left = await endLeftoverJobs(domain, config.runDir);
      if (left.length > 0) listener.log.warn(LOG_EVENTS.mirrorTrouble, { leftBehind: left });
      return MirrorJobs.start(hypervisor, domain, { socketPath, disks: facts.mirrored, onLost });
    },
    onLost: listener.onMirrorLost,
  });
}

export class PrimaryGuest {
  #hold: HoldSet | undefined;
  #stoodStill = false;
  #closed = false;
  readonly #end = deferred<'gone'>();
  #stopWatching: () => void = () => undefined;
  #stopListening: () => void = () => undefined;

  private constructor(
    private readonly hypervisor: Hypervisor,
    private readonly domain: ProtectedDomain,
    private readonly facts: DomainFacts,
    readonly identity: GuestIdentity,
    readonly description: DomainDescription,
    readonly memory: NativeGuestMemory,
    readonly pause: PauseSource,
    private readonly ownMonitor: OwnMonitor | undefined,
    readonly mirror: DiskMirror,
    private readonly load: VcpuLoad,
    private readonly holdBackend: HoldBackend,
    readonly warnings: readonly string[],
    private readonly listener: GuestListener,
  ) {}

  /** @throws AGENT_REFUSED_BY_CHECK with every reason, or what attaching met; nothing is left behind. */
  static async attach(
    config: PrimaryConfig,
    session: string,
    listener: GuestListener,
  ): Promise<PrimaryGuest> {
    let memory: NativeGuestMemory | undefined;
    let ownMonitor: OwnMonitor | undefined;
    const lease = config.consistency === 'timeline';
    const backend = await chooseBackend(config.outputHold, { lease });
    const hypervisor = await openHypervisor({
      uri: config.libvirtUri,
      onClosed: (reason) => {
        listener.log.error(LOG_EVENTS.libvirtClosed, { reason });
        listener.onLibvirtLost(reason);
      },
    });
    try {
      const report = await checkAll(hypervisor, config.domain, { runDir: config.runDir });
      if (!report.protectable) {
        const reasons = report.refusals.map(({ code, message }) => `${code}: ${message}`);
        throw agentError('AGENT_REFUSED_BY_CHECK', reasons.join('; '), {
          domain: config.domain,
          facts: { reasons },
        });
      }
      const domain = await hypervisor.domain(config.domain);
      const facts = await inspectDomain(domain);
      const map = await ramMap(domain);
      memory = await native.memory.attach({
        pid: map.pid,
        ranges: map.blocks,
        stagingBytes: Math.min(config.stagingBytes, map.ramBytes),
        threads: Math.min(CAPTURE_THREADS_MAX, availableParallelism()),
      });
      ownMonitor = await openOwnMonitor(config, domain, facts, listener.log);
      const mirror = await openMirror(config, session, { hypervisor, domain, facts }, listener);
      const guest = new PrimaryGuest(
        hypervisor,
        domain,
        facts,
        await identityOf(domain),
        await describeDomain(domain),
        memory,
        await choosePauseSource({
          domain,
          memory,
          fifoPath: sessionPaths(config.runDir, config.domain, 'primary').fifo,
          onGate: (readFd) => mirror.guardGate(readFd),
          shortcut: () => ownMonitor?.path,
        }),
        ownMonitor,
        mirror,
        await VcpuLoad.open(domain, map.pid),
        backend,
        report.warnings.map(({ message }) => message),
        listener,
      );
      guest.#stopListening = hypervisor.onDevice(domain.uuid, ({ alias, kind }) =>
        listener.onDevicesChanged(`${alias} ${kind}`),
      );
      guest.#stopWatching = watchGuestEnd(
        {
          uuid: domain.uuid,
          pid: map.pid,
          subscribe: (listen) => hypervisor.onLifecycle(listen),
        },
        (end) => {
          guest.#end.resolve('gone');
          listener.onEnded(end);
        },
      );
      return guest;
    } catch (error) {
      await ownMonitor?.close();
      await memory?.detach();
      await hypervisor.close();
      throw error;
    }
  }

  /**
   * Attaches anew to the guest of `former`, whose connection to libvirt is dead; its output is held throughout. On
   * failure `former` holds it still, and is good for nothing else. @throws as `attach`
   */
  static async again(
    former: PrimaryGuest,
    config: PrimaryConfig,
    session: string,
    listener: GuestListener,
  ): Promise<PrimaryGuest> {
    await former.close();
    const guest = await PrimaryGuest.attach(config, session, listener);
    guest.#hold = former.#hold;
    guest.#stoodStill = former.#stoodStill;
    former.#hold = undefined;
    return guest;
  }

  /** What is carried to the backup, in the order in which disks are numbered. */
  get disks(): readonly MirroredDisk[] {
    return this.facts.mirrored;
  }

  get qemuPid(): number {
    return this.facts.pid;
  }

  /**
   * Whether the guest's QEMU lives: `alive` when it answers, `gone` when it ended, `silent` when neither is
   * known within the bound. What fails next to a dying QEMU (mirrors, pauses) comes before the news of its end.
   */
  async vitalSign(): Promise<'alive' | 'gone' | 'silent'> {
    const answered = this.domain.qmp('query-status', undefined, VITAL_SIGN_TIMEOUT_MS).then(
      () => 'alive' as const,
      () => this.#end.promise,
    );
    const timer = new AbortController();
    const silent = delay(VITAL_SIGN_TIMEOUT_MS, 'silent' as const, { signal: timer.signal });
    silent.catch(() => undefined);
    try {
      return await Promise.race([answered, this.#end.promise, silent]);
    } finally {
      timer.abort();
    }
  }

  /** Without libvirt's word: whether its process is there. */
  get isAlive(): boolean {
    return existsSync(`/proc/${this.facts.pid}`);
  }

  /** At this moment: QEMU may come to its own monitor later than we do. */
  get pauseThrough(): PauseThrough {
    const isShort = this.pause.mode === 'gate' && this.ownMonitor?.isConnected === true;
    return isShort ? 'own-monitor' : 'libvirt';
  }

  get isHolding(): boolean {
    return this.#hold !== undefined;
  }

  get holdSummary(): HoldSummary | undefined {
    return this.#hold?.summary;
  }

  /** Holds the guest's output, open epoch `epoch`, unless it is held already. */
  async hold(epoch: number): Promise<HoldSet> {
    if (this.#hold !== undefined) return this.#hold;
    const { listener } = this;
    this.#hold = await HoldSet.begin(this.holdBackend, this.facts.nics, epoch, {
      onWaiting: (openEpoch) => listener.onOutputWaits(openEpoch),
      onFilling: () => listener.onHoldFills(),
      onInboundBegan: () => listener.onInboundBegan(),
      onTrouble: (tap, trouble) => {
        listener.log.warn(LOG_EVENTS.holdTrouble, { tap, ...trouble });
        listener.onHoldTrouble(tap, trouble);
      },
    });
    if (listener.faults.has('hold-open')) this.#hold.open();
    const { kernelRefusal } = this.#hold;
    listener.log.info(LOG_EVENTS.holding, { epoch, backend: this.holdBackend.name, kernelRefusal });
    return this.#hold;
  }

  /** Output passes until then without waiting for commits, and is held after it (CLOCK_MONOTONIC ms). */
  passUntil(deadlineMs: number): void {
    this.#hold?.passUntil(deadlineMs);
  }

  /** Part of the time outside of pauses in which it worked, 0 to 1; told how long it was paused in all. */
  loadShare(pausedMs: number): number {
    return this.load.share(pausedMs);
  }

  /** Puts the taps back; `release` lets out what is held, else it is thrown away. */
  async endHold(how: { release: boolean }): Promise<void> {
    await this.#hold?.close(how);
    this.#hold = undefined;
  }

  dropHeld(): void {
    this.#hold?.dropAll();
  }

  /** The guest runs no further until `letRun`. An operator's own pause is left as it is. */
  async standStill(): Promise<void> {
    if ((await this.domain.state()) !== 'running') return;
    this.#stoodStill = true;
    await this.domain.suspend();
  }

  async letRun(): Promise<void> {
    if (!this.#stoodStill) return;
    await this.domain.resume();
    this.#stoodStill = false;
  }

  /** Ends the guest on this host, whatever libvirt is able to: another host runs it. */
  async destroy(): Promise<void> {
    this.#stopWatching();
    try {
      await this.domain.destroy();
    } catch (error) {
      this.listener.log.warn(LOG_EVENTS.teardown, { step: 'destroy', error: messageOf(error) });
      if (this.isAlive) process.kill(this.qemuPid, 'SIGKILL');
    }
  }

  /** Detaches; the hold, if any, goes with the process: fail closed. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#stopWatching();
    this.#stopListening();
    const steps: [string, () => void | Promise<void>][] = [
      ['pause', () => this.pause.close()],
      ['monitor', () => this.ownMonitor?.close()],
      ['mirror', () => this.mirror.close()],
      ['memory', () => this.memory.detach()],
      ['load', () => this.load.close()],
      ['hypervisor', () => this.hypervisor.close()],
    ];
    for (const [step, run] of steps) {
      try {
        await run();
      } catch (error) {
        // A QEMU that is gone cannot be detached from; the other steps still must run.
        this.listener.log.warn(LOG_EVENTS.teardown, { step, error: messageOf(error) });
      }
    }
  }
}
