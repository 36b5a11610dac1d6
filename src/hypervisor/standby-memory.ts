/**
 * The RAM of a standby as files that the replica is written through.
 *
 * A block's address inside QEMU names its mapping, the mapping's inode names the memfd, and the
 * descriptor with that inode is the file: no guessing by size, so equal NUMA nodes are told apart.
 */
import { readdir, readlink, stat } from 'node:fs/promises';
import type { ProtectedDomain } from './domain.js';
import { hypervisorError } from './errors.js';
import { covering, mappingsOf } from './process.js';
import { ramMap } from './ram-map.js';

export interface StandbyRam {
  name: string;
  /** `/proc/PID/fd/N`: opens the memfd read-write for root. */
  path: string;
  bytes: number;
  replicaOffset: number;
}

/** @throws HYP_STANDBY_MEMORY, HYP_RAM_MAP_BAD */
export async function standbyMemory(domain: ProtectedDomain): Promise<StandbyRam[]> {
  const { pid, blocks } = await ramMap(domain);
  const mappings = await mappingsOf(pid, domain);
  const descriptors = await descriptorsByInode(pid);
  return blocks.map(({ name, hva, bytes, replicaOffset }) => {
    const inodes = new Set(covering(mappings, hva, bytes)?.map(({ inode }) => inode));
    const [inode] = inodes;
    const file = inode === undefined ? undefined : descriptors.get(inode);
    if (inodes.size !== 1 || file?.bytes !== bytes) {
      throw hypervisorError('HYP_STANDBY_MEMORY', `${name} of ${domain.name} is not one memfd`, {
        operation: 'find replica memory',
        domain: domain.name,
      });
    }
    return { name, path: file.path, bytes, replicaOffset };
  });
}

async function descriptorsByInode(
  pid: number,
): Promise<Map<bigint, { path: string; bytes: number }>> {
  const found = new Map<bigint, { path: string; bytes: number }>();
  for (const fd of await readdir(`/proc/${pid}/fd`)) {
    const path = `/proc/${pid}/fd/${fd}`;
    // Inode numbers are those of a file system; only memfds are meant, and all of these share one.
    if (!(await readlink(path)).startsWith('/memfd:')) continue;
    const { ino, size } = await stat(path, { bigint: true });
    found.set(ino, { path, bytes: Number(size) });
  }
  return found;
}
