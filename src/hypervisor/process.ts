/**
 * The QEMU process of a running domain, without guessing.
 *
 * Two QEMUs with the same name and uuid can be visible at once (a primary and its standby on
 * one machine), so names prove nothing. QEMU itself says which it is: `query-cpus-fast`
 * reports the host thread id of a vCPU, and /proc/TID/status names the process it belongs
 * to (proc_pid_status(5), Tgid). The command line is then checked for the domain's uuid, which
 * fails when we look from another PID namespace than QEMU's.
 */
import { readFile } from 'node:fs/promises';
import { messageOf } from '../errors.js';
import type { ProtectedDomain } from './domain.js';
import { hypervisorError } from './errors.js';
import { INSPECT_TIMEOUT_MS } from './limits.js';
import { readReply } from './monitor.js';
import { cpusReply } from './qmp-replies.js';

export interface QemuProcess {
  pid: number;
  /** Real user id it runs under. */
  uid: number;
}

/** One line of /proc/PID/maps. */
export interface Mapping {
  start: bigint;
  end: bigint;
  inode: bigint;
}

/** @throws HYP_PROCESS_NOT_FOUND, and what a monitor command throws when the domain is not running */
export async function qemuProcess(domain: ProtectedDomain): Promise<QemuProcess> {
  const names = { operation: 'query-cpus-fast', domain: domain.name };
  const reply = await domain.qmp('query-cpus-fast', undefined, INSPECT_TIMEOUT_MS);
  const threadId = readReply(cpusReply, reply, names)[0]?.['thread-id'] ?? 0;
  const status = await readProc(threadId, 'status', domain);
  const pid = statusNumber(status, 'Tgid');
  const uid = statusNumber(status, 'Uid');
  if (pid === undefined || uid === undefined) {
    throw notFound(domain, `/proc/${threadId}/status has no Tgid or Uid`);
  }
  const words = (await readProc(pid, 'cmdline', domain)).split('\0');
  if (words[words.indexOf('-uuid') + 1] !== domain.uuid) {
    throw notFound(domain, `process ${pid} does not run the domain ${domain.uuid}`);
  }
  return { pid, uid };
}

/** @throws HYP_PROCESS_NOT_FOUND */
export async function mappingsOf(pid: number, domain: ProtectedDomain): Promise<Mapping[]> {
  return parseMaps(await readProc(pid, 'maps', domain));
}

/** Pure: proc_pid_maps(5). */
export function parseMaps(text: string): Mapping[] {
  const line = /^([0-9a-f]+)-([0-9a-f]+) \S+ [0-9a-f]+ [0-9a-f]+:[0-9a-f]+ (\d+)/gm;
  return Array.from(text.matchAll(line), ([, start = '', end = '', inode = '']) => ({
    start: BigInt(`0x${start}`),
    end: BigInt(`0x${end}`),
    inode: BigInt(inode),
  }));
}

/** The mappings that cover [hva, hva + bytes) without a gap; undefined when they do not. Expects address order. */
export function covering(
  mappings: readonly Mapping[],
  hva: bigint,
  bytes: number,
): Mapping[] | undefined {
  const end = hva + BigInt(bytes);
  const inside = mappings.filter((mapping) => mapping.start < end && mapping.end > hva);
  let reached = hva;
  for (const mapping of inside) {
    if (mapping.start > reached) return undefined;
    reached = mapping.end;
  }
  return reached >= end ? inside : undefined;
}

function statusNumber(status: string, field: string): number | undefined {
  const match = new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(status);
  return match?.[1] === undefined ? undefined : Number(match[1]);
}

async function readProc(pid: number, file: string, domain: ProtectedDomain): Promise<string> {
  try {
    return await readFile(`/proc/${pid}/${file}`, 'utf8');
  } catch (error) {
    throw notFound(domain, messageOf(error), error);
  }
}

function notFound(domain: ProtectedDomain, why: string, cause?: unknown) {
  return hypervisorError('HYP_PROCESS_NOT_FOUND', `QEMU of ${domain.name}: ${why}`, {
    operation: 'find the QEMU process',
    domain: domain.name,
    cause,
  });
}
