/** Whether this host has what the standby of a domain needs; asked before protection, and again when it begins. */
import { access, readFile } from 'node:fs/promises';
import type { StandbyNeeds } from '../../wire/messages.js';
import { agentError } from '../errors.js';
import type { Host } from '../host.js';
import { type Reason, reasonOf } from '../status.js';

/** QEMU itself, page tables and device memory, beside the guest's RAM. */
const STANDBY_OVERHEAD_BYTES = 128 * 1024 * 1024;

/** Everything that is missing here, at once. @throws what asking libvirt throws */
export async function unmetNeeds(host: Host, needs: StandbyNeeds): Promise<Reason[]> {
  const unmet: Reason[] = [];
  const shortage = await memoryShortage(needs.memoryBytes);
  if (shortage !== undefined) unmet.push(reasonOf(agentError('AGENT_NO_MEMORY', shortage)));
  const { qemu } = await host.withHypervisor((hypervisor) => hypervisor.versions());
  if (qemu !== needs.qemuVersion) {
    const message = `QEMU is ${qemu} here and ${needs.qemuVersion} on the primary`;
    unmet.push(reasonOf(agentError('AGENT_BACKUP_DIFFERS', message)));
  }
  const missing = [
    ...(await absent(needs.files, (path) => path, 'file')),
    ...(await absent(needs.bridges, (name) => `/sys/class/net/${name}/bridge`, 'bridge')),
  ];
  return [...unmet, ...missing.map((one) => reasonOf(agentError('AGENT_BACKUP_LACKS', one)))];
}

/** Why a guest of so many bytes has no place beside what runs here; undefined when it has. */
export async function memoryShortage(guestBytes: number): Promise<string | undefined> {
  const meminfo = await readFile('/proc/meminfo', 'utf8');
  const availableKib = /^MemAvailable:\s+(\d+) kB$/m.exec(meminfo)?.[1] ?? 0;
  const availableBytes = Number(availableKib) * 1024;
  const needed = guestBytes + STANDBY_OVERHEAD_BYTES;
  if (availableBytes >= needed) return undefined;
  const mib = (bytes: number): number => Math.floor(bytes / 1024 ** 2);
  return `the standby needs ${mib(needed)} MiB; ${mib(availableBytes)} MiB are available`;
}

async function absent(
  names: readonly string[],
  pathOf: (name: string) => string,
  what: string,
): Promise<string[]> {
  const found = await Promise.allSettled(names.map((name) => access(pathOf(name))));
  const missing = names.filter((_, index) => found[index]?.status === 'rejected');
  return missing.map((name) => `there is no ${what} ${name}`);
}
