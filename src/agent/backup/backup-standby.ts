/**
 * The standby on the backup, with its replica open and everything a promotion needs looked up
 * beforehand, so that nothing but the promotion itself stands between decision and resumed guest.
 */
import { monotonicMs } from '../../clock.js';
import { messageOf } from '../../errors.js';
import type { Hypervisor } from '../../hypervisor/connection.js';
import { readDomainXml } from '../../hypervisor/domain-xml.js';
import { compareIdentity } from '../../hypervisor/identity.js';
import { inspectDomain } from '../../hypervisor/inspect.js';
import type { ReplicaDisk } from '../../hypervisor/replica-disks.js';
import type { Standby } from '../../hypervisor/standby.js';
import { type NativeReplica, native } from '../../native.js';
import { announcePresence } from '../../netbuffer/announce.js';
import type { GuestIdentity, Message } from '../../wire/messages.js';
import { agentError } from '../errors.js';
import { sessionPaths } from '../session/session-control.js';
import { memoryShortage } from './standby-needs.js';

interface StandbyNic {
  tap: string;
  bridge: string;
  mac: string;
}

export class BackupStandby {
  #replicaOpen = true;

  private constructor(
    private readonly standby: Standby,
    readonly replica: NativeReplica,
    readonly qemuPid: number,
    private readonly nics: readonly StandbyNic[],
    private readonly isPersistent: boolean,
  ) {}

  /**
   * Starts the standby and compares it, as it really came up, with the primary's guest.
   * Nothing is left behind on failure.
   */
  static async start(
    hypervisor: Hypervisor,
    hello: Message<'helloCheckpoints'>,
    disks: readonly ReplicaDisk[],
    { runDir, onDied }: { runDir: string; onDied: (reason: string) => void },
  ): Promise<BackupStandby> {
    const { identity, definition, persistentXml } = hello;
    await requireMemory(identity);
    const { monitorSocket } = sessionPaths(runDir, hello.domain, 'backup');
    const { qemu } = await hypervisor.versions();
    const standby = await hypervisor.startStandby({
      definition,
      ...(persistentXml === undefined ? {} : { persistentXml }),
      disks,
      ownMonitor: { path: monitorSocket(readDomainXml(definition).uuid), qemu },
      onDied,
    });
    try {
      const differences = compareIdentity(identity, await standby.identity());
      if (differences.length > 0) {
        const words = differences.map((one) => `${one.code}: ${one.primary} | ${one.backup}`);
        throw agentError('AGENT_BACKUP_DIFFERS', words.join('; '), {
          facts: { differences: words },
        });
      }
      const facts = await inspectDomain(standby.domain);
      const replica = native.memory.openReplica({ blocks: await standby.memfds() });
      await reserve(replica);
      const nics = facts.nics.flatMap(({ tap, bridge, mac }) =>
        tap === undefined || bridge === undefined ? [] : [{ tap, bridge, mac }],
      );
      return new BackupStandby(standby, replica, facts.pid, nics, persistentXml !== undefined);
    } catch (error) {
      await standby.destroy();
      throw error;
    }
  }

  /**
   * Loads the device state over the replica, which must hold the same epoch, lets the guest run
   * and tells the network where it lives now. Returns milliseconds per phase and when it resumed.
   */
  async promote(
    deviceState: Buffer,
    addresses: Message<'checkpoint'>['addresses'],
  ): Promise<{ phasesMs: Record<string, number>; resumedAtMs: number }> {
    this.#closeReplica();
    const startedAtMs = monotonicMs();
    let announceMs = 0;
    const { loadMs, resumeMs } = await this.standby.promote(deviceState, async () => {
      const announcingAtMs = monotonicMs();
      await Promise.all(this.nics.map((nic) => announce(nic, addresses)));
      announceMs = monotonicMs() - announcingAtMs;
    });
    return {
      phasesMs: { loadMs, resumeMs, announceMs },
      resumedAtMs: startedAtMs + loadMs + resumeMs,
    };
  }

  /** After a promotion: a domain that was defined on its old host is defined here. */
  async keepDefinition(): Promise<void> {
    if (this.isPersistent) await this.standby.persist();
  }

  /** Also after a promotion that failed. */
  async destroy(): Promise<void> {
    this.#closeReplica();
    await this.standby.destroy();
  }

  #closeReplica(): void {
    if (this.#replicaOpen) this.replica.close();
    this.#replicaOpen = false;
  }
}

/** Memory that is promised must be there: what the takeover needs is taken before protection begins. */
async function reserve(replica: NativeReplica): Promise<void> {
  try {
    await replica.reserve();
  } catch (cause) {
    replica.close();
    throw agentError('AGENT_NO_MEMORY', messageOf(cause), { cause });
  }
}

async function announce(
  nic: StandbyNic,
  addresses: Message<'checkpoint'>['addresses'],
): Promise<void> {
  const own = addresses.filter(({ mac }) => mac === nic.mac).map(({ address }) => address);
  await announcePresence({ ...nic, addresses: own });
}

/** A standby that outgrows its host is worse than none: the kernel would kill it at the takeover. */
async function requireMemory(identity: GuestIdentity): Promise<void> {
  const bytes = identity.ramBlocks.reduce((total, block) => total + block.bytes, 0);
  const shortage = await memoryShortage(bytes);
  if (shortage !== undefined) throw agentError('AGENT_NO_MEMORY', shortage);
}
