/** A running domain in one value: what its XML says plus what only its process and QEMU know. */
import { isMirrored } from './disk-preflight.js';
import type { DomainState, ProtectedDomain } from './domain.js';
import { type DomainDefinition, readDomainXml } from './domain-xml.js';
import { hypervisorError } from './errors.js';
import { INSPECT_TIMEOUT_MS } from './limits.js';
import { readReply } from './monitor.js';
import { qemuProcess } from './process.js';
import { versionReply } from './qmp-replies.js';

export interface DomainFacts extends DomainDefinition {
  state: DomainState;
  pid: number;
  /** Real user id QEMU runs under. */
  uid: number;
  /** "7.2.22" */
  qemuVersion: string;
  /** The distribution's package, may be empty. */
  qemuPackage: string;
  /** Disks that the guest may write, in the order of the XML. */
  mirrored: MirroredDisk[];
}

export interface MirroredDisk {
  /** Its target: vda. */
  name: string;
  /** As the guest sees it. */
  bytes: number;
  /** File or block device on this host. */
  path: string;
  format: 'raw' | 'qcow2';
}

/** @throws HYP_NOT_RUNNING, HYP_PROCESS_NOT_FOUND, HYP_XML_BAD, and what libvirt calls throw */
export async function inspectDomain(domain: ProtectedDomain): Promise<DomainFacts> {
  const state = await domain.state();
  if (!hasProcess(state)) {
    throw hypervisorError('HYP_NOT_RUNNING', `${domain.name} is ${state}`, {
      operation: 'inspect',
      domain: domain.name,
    });
  }
  const definition = readDomainXml(await domain.liveXml());
  return {
    ...definition,
    state,
    ...(await qemuProcess(domain)),
    ...(await qemuVersion(domain)),
    mirrored: await mirroredDisks(domain, definition),
  };
}

/** A QEMU exists and answers its monitor. */
export function hasProcess(state: DomainState): boolean {
  return state === 'running' || state === 'blocked' || state === 'paused';
}

/** Preflight refuses a disk without a path, or of another format. */
async function mirroredDisks(
  domain: ProtectedDomain,
  { disks }: DomainDefinition,
): Promise<MirroredDisk[]> {
  const mirrored: MirroredDisk[] = [];
  for (const { name, path, format } of disks.filter(isMirrored)) {
    if (path !== undefined && (format === 'raw' || format === 'qcow2')) {
      mirrored.push({ name, bytes: await domain.diskBytes(name), path, format });
    }
  }
  return mirrored;
}

export async function qemuVersion(
  domain: ProtectedDomain,
): Promise<{ qemuVersion: string; qemuPackage: string }> {
  const reply = await domain.qmp('query-version', undefined, INSPECT_TIMEOUT_MS);
  const version = readReply(versionReply, reply, {
    operation: 'query-version',
    domain: domain.name,
  });
  const { major, minor, micro } = version.qemu;
  return { qemuVersion: `${major}.${minor}.${micro}`, qemuPackage: version.package };
}
