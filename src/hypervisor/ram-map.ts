/**
 * Where a running guest's RAM lies inside its QEMU, and where it goes in the replica.
 *
 * `info mtree -f` lists RAM by guest-physical address, `info ramblock` the size of each block,
 * `gpa2hva` translates one address (QEMU 7.2 shows host addresses nowhere else). Carried are
 * main memory and memory devices, that is the memory backends (`query-memdev`), or the
 * machine's own `pc.ram` where an old libvirt made no backend. Firmware and ROM blocks are
 * rebuilt by the standby itself. Every block is confirmed three times: against the sum
 * QEMU reports for guest memory, by translating its first and last address, and by /proc/PID/maps.
 */
import type { ProtectedDomain } from './domain.js';
import { hypervisorError } from './errors.js';
import { INSPECT_TIMEOUT_MS, PAGE_BYTES, RAM_BLOCKS_MAX } from './limits.js';
import { readReply } from './monitor.js';
import { covering, mappingsOf, qemuProcess } from './process.js';
import { memoryBackendsReply, memorySizeReply } from './qmp-replies.js';
import { blockNamed, type FlatRange, parseFlatView, parseRamBlocks } from './ram-text.js';

export interface RamBlock {
  name: string;
  bytes: number;
  /** Host virtual address inside QEMU. */
  hva: bigint;
  /** Offset in the replica's flat address space: blocks in guest-physical order, without gaps. */
  replicaOffset: number;
}

export interface RamMap {
  pid: number;
  blocks: RamBlock[];
  ramBytes: number;
  /** RAM that exists but is not carried: firmware, option ROMs, `vga.vram`. */
  notCarried: { name: string; bytes: number }[];
}

/** @throws HYP_RAM_MAP_BAD, HYP_PROCESS_NOT_FOUND, and what monitor commands throw */
export async function ramMap(domain: ProtectedDomain): Promise<RamMap> {
  const { pid } = await qemuProcess(domain);
  const ranges = parseFlatView(await domain.hmp('info mtree -f'));
  const sizes = parseRamBlocks(await domain.hmp('info ramblock'));
  const backends = await backendNames(domain);
  const carried = [...sizes].flatMap(([id, bytes]) => {
    const name = backends.find((backend) => blockNamed(id, backend));
    return name === undefined
      ? []
      : [{ name, bytes, parts: ranges.filter((r) => r.name === name) }];
  });
  carried.sort((a, b) => Number((a.parts[0]?.gpa ?? 0n) - (b.parts[0]?.gpa ?? 0n)));
  const notCarried = [...sizes]
    .filter(([id]) => !backends.some((backend) => blockNamed(id, backend)))
    .map(([name, bytes]) => ({ name, bytes }));

  const blocks: RamBlock[] = [];
  let replicaOffset = 0;
  for (const { name, bytes, parts } of carried) {
    const hva = await blockAddress(domain, name, parts);
    blocks.push({ name, bytes, hva, replicaOffset });
    replicaOffset += bytes;
  }
  await confirm(domain, pid, blocks, replicaOffset);
  return { pid, blocks, ramBytes: replicaOffset, notCarried };
}

async function backendNames(domain: ProtectedDomain): Promise<string[]> {
  const reply = await domain.qmp('query-memdev', undefined, INSPECT_TIMEOUT_MS);
  const backends = readReply(memoryBackendsReply, reply, {
    operation: 'query-memdev',
    domain: domain.name,
  });
  return [...new Set(['pc.ram', ...backends.flatMap(({ id }) => id ?? [])])];
}

/** The block's first byte, found by its lowest range and cross-checked by its highest. */
async function blockAddress(
  domain: ProtectedDomain,
  name: string,
  parts: readonly FlatRange[],
): Promise<bigint> {
  const first = parts[0];
  const last = parts.at(-1);
  if (first === undefined || last === undefined) throw bad(domain, `${name} is nowhere mapped`);
  const base = (await hostAddress(domain, first.gpa)) - first.offset;
  const again = (await hostAddress(domain, last.gpa)) - last.offset;
  if (base !== again) throw bad(domain, `${name} does not lie in one piece`);
  return base;
}

async function hostAddress(domain: ProtectedDomain, gpa: bigint): Promise<bigint> {
  const reply = await domain.hmp(`gpa2hva 0x${gpa.toString(16)}`);
  // The guest address comes first in the line, the host's last.
  const hva = /is (0x[0-9a-f]+)\s*$/.exec(reply)?.[1];
  if (hva === undefined) throw bad(domain, reply.trim());
  return BigInt(hva);
}

async function confirm(
  domain: ProtectedDomain,
  pid: number,
  blocks: readonly RamBlock[],
  ramBytes: number,
): Promise<void> {
  const reply = await domain.qmp('query-memory-size-summary', undefined, INSPECT_TIMEOUT_MS);
  const names = { operation: 'query-memory-size-summary', domain: domain.name };
  const size = readReply(memorySizeReply, reply, names);
  const guestBytes = size['base-memory'] + size['plugged-memory'];
  if (ramBytes !== guestBytes) {
    throw bad(domain, `blocks add up to ${ramBytes} bytes, the guest has ${guestBytes}`);
  }
  if (blocks.length > RAM_BLOCKS_MAX) throw bad(domain, `${blocks.length} blocks`);
  const mappings = await mappingsOf(pid, domain);
  for (const { name, hva, bytes } of blocks) {
    if (bytes % PAGE_BYTES !== 0 || hva % BigInt(PAGE_BYTES) !== 0n) {
      throw bad(domain, `${name} is not page-aligned`);
    }
    if (covering(mappings, hva, bytes) === undefined) {
      throw bad(domain, `${name} is not mapped in process ${pid}`);
    }
  }
}

function bad(domain: ProtectedDomain, why: string) {
  return hypervisorError('HYP_RAM_MAP_BAD', `memory layout of ${domain.name}: ${why}`, {
    operation: 'map guest memory',
    domain: domain.name,
  });
}
