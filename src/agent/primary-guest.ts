/**
 * The running guest on the primary, taken hold of: its memory tracked, its pause ready, its output
 * held when asked. Closing it leaves QEMU as it was found; held output is never released by closing.
 */
import { availableParallelism } from 'node:os';
import type { Fault } from '../epoch/faults.js';
import { messageOf } from '../errors.js';
import { type Hypervisor, openHypervisor } from '../hypervisor/connection.js';
import { type DomainDescription, describeDomain } from '../hypervisor/description.js';
import type { ProtectedDomain } from '../hypervisor/domain.js';
import { identityOf } from '../hypervisor/identity.js';
import { type DomainFacts, inspectDomain } from '../hypervisor/inspect.js';
import { choosePauseSource } from '../hypervisor/pause.js';
import type { PauseSource } from '../hypervisor/pause-source.js';
import { ramMap } from '../hypervisor/ram-map.js';
import { type NativeGuestMemory, native } from '../native.js';
import type { GuestIdentity } from '../wire/messages.js';
import { checkAll } from './check.js';
import { agentError } from './errors.js';
import { type GuestEnd, watchGuestEnd } from './guest-end.js';
import { HoldSet } from './hold-set.js';
import { LOG_EVENTS, type Log } from './log.js';
import type { PrimaryConfig } from './session-config.js';
import { sessionPaths } from './session-control.js';
import type { HoldSummary } from './status.js';

/** More threads than this only wait for memory. */
const CAPTURE_THREADS_MAX = 4;

export interface GuestListener {
  log: Log;
  faults: ReadonlySet<Fault>;
  /** Once. */
  onEnded(end: GuestEnd): void;
  onHoldTrouble(reason: string): void;
}

export class PrimaryGuest {
  #hold: HoldSet | undefined;
  #stopWatching: () => void = () => undefined;

  private constructor(
    private readonly hypervisor: Hypervisor,
    private readonly domain: ProtectedDomain,
    private readonly facts: DomainFacts,
    readonly identity: GuestIdentity,
    readonly description: DomainDescription,
    readonly memory: NativeGuestMemory,
    readonly pause: PauseSource,
    readonly warnings: readonly string[],
    private readonly listener: GuestListener,
  ) {}

  /** @throws AGENT_REFUSED_BY_CHECK with every reason, or what attaching met; nothing is left behind. */
  static async attach(config: PrimaryConfig, listener: GuestListener): Promise<PrimaryGuest> {
    let memory: NativeGuestMemory | undefined;
    const hypervisor = await openHypervisor({
      uri: config.libvirtUri,
      onClosed: (reason) => listener.log.error(LOG_EVENTS.libvirtClosed, { reason }),
    });
    try {
      const report = await checkAll(hypervisor, config.domain);
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
        }),
        report.warnings.map(({ message }) => message),
        listener,
      );
      guest.#stopWatching = watchGuestEnd(
        {
          uuid: domain.uuid,
          pid: map.pid,
          subscribe: (listen) => hypervisor.onLifecycle(listen),
        },
        listener.onEnded,
      );
      return guest;
    } catch (error) {
      await memory?.detach();
      await hypervisor.close();
      throw error;
    }
  }

  get qemuPid(): number {
    return this.facts.pid;
  }

  get isHolding(): boolean {
    return this.#hold !== undefined;
  }

  get holdSummary(): HoldSummary | undefined {
    return this.#hold?.summary;
  }

  /** Holds the guest's output, open epoch `epoch`, unless it is held already. */
  async hold(epoch: number): Promise<HoldSet> {
    this.#hold ??= await HoldSet.begin(this.facts.nics, {
      epoch,
      open: this.listener.faults.has('hold-open'),
      onTrouble: (reason) => {
        this.listener.log.warn(LOG_EVENTS.holdTrouble, { reason });
        this.listener.onHoldTrouble(reason);
      },
    });
    this.listener.log.info(LOG_EVENTS.holding, { epoch });
    return this.#hold;
  }

  /** Puts the taps back; `release` lets out what is held, else it is thrown away. */
  async endHold(how: { release: boolean }): Promise<void> {
    await this.#hold?.close(how);
    this.#hold = undefined;
  }

  dropHeld(): void {
    this.#hold?.dropAll();
  }

  /** Ends the guest on this host. */
  async destroy(): Promise<void> {
    this.#stopWatching();
    await this.domain.destroy();
  }

  /** Detaches; the hold, if any, goes with the process: fail closed. */
  async close(): Promise<void> {
    this.#stopWatching();
    const steps: [string, () => void | Promise<void>][] = [
      ['pause', () => this.pause.close()],
      ['memory', () => this.memory.detach()],
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
