/**
 * What must be equal on both hosts before a checkpoint of one may be loaded by the other.
 *
 * Taken from two *running* QEMUs, the guest's and its standby's, so that it compares what
 * libvirt and QEMU really made of the definition (resolved machine type, expanded CPU).
 */
import type { ProtectedDomain } from './domain.js';
import { inspectDomain } from './inspect.js';
import { PAGE_BYTES } from './limits.js';
import { ramMap } from './ram-map.js';
import { at, attribute, children, parseDomainXml, text } from './xml.js';

export interface GuestIdentity {
  uuid: string;
  qemuVersion: string;
  machine: string;
  arch: string;
  /** kvm or qemu */
  virtType: string;
  vcpus: number;
  /** The running domain's `<cpu>`; empty when libvirt has none. */
  cpuXml: string;
  pageBytes: number;
  ramBlocks: { name: string; bytes: number; replicaOffset: number }[];
  nics: { mac: string; model: string }[];
}

export type DifferenceCode =
  | 'UUID_DIFFERS'
  | 'QEMU_VERSION_DIFFERS'
  | 'MACHINE_DIFFERS'
  | 'ARCH_DIFFERS'
  | 'ACCELERATOR_DIFFERS'
  | 'VCPUS_DIFFER'
  | 'CPU_DIFFERS'
  | 'PAGE_SIZE_DIFFERS'
  | 'RAM_DIFFERS'
  | 'NICS_DIFFER';

export interface Difference {
  code: DifferenceCode;
  primary: string;
  backup: string;
}

/** @throws what inspectDomain and ramMap throw */
export async function identityOf(domain: ProtectedDomain): Promise<GuestIdentity> {
  const facts = await inspectDomain(domain);
  const { blocks } = await ramMap(domain);
  return {
    uuid: facts.uuid,
    qemuVersion: facts.qemuVersion,
    machine: facts.machine,
    arch: facts.arch,
    virtType: facts.virtType,
    vcpus: facts.vcpus,
    cpuXml: facts.cpu.xml,
    pageBytes: PAGE_BYTES,
    ramBlocks: blocks.map(({ name, bytes, replicaOffset }) => ({ name, bytes, replicaOffset })),
    nics: facts.nics.map(({ mac, model }) => ({ mac, model })),
  };
}

/** Pure: every difference that forbids loading a checkpoint of `primary` into `backup`; empty when none. */
export function compareIdentity(primary: GuestIdentity, backup: GuestIdentity): Difference[] {
  const rows: [DifferenceCode, (identity: GuestIdentity) => string][] = [
    ['UUID_DIFFERS', ({ uuid }) => uuid],
    ['QEMU_VERSION_DIFFERS', ({ qemuVersion }) => qemuVersion],
    ['MACHINE_DIFFERS', ({ machine }) => machine],
    ['ARCH_DIFFERS', ({ arch }) => arch],
    ['ACCELERATOR_DIFFERS', ({ virtType }) => virtType],
    ['VCPUS_DIFFER', ({ vcpus }) => String(vcpus)],
    ['CPU_DIFFERS', ({ cpuXml }) => cpuWords(cpuXml)],
    ['PAGE_SIZE_DIFFERS', (identity) => String(identity.pageBytes)],
    ['RAM_DIFFERS', ({ ramBlocks }) => ramBlocks.map(blockWords).join(', ')],
    ['NICS_DIFFER', ({ nics }) => nics.map(({ mac, model }) => `${mac} ${model}`).join(', ')],
  ];
  return rows
    .map(([code, words]) => ({ code, primary: words(primary), backup: words(backup) }))
    .filter((row) => row.primary !== row.backup);
}

function blockWords({ name, bytes, replicaOffset }: GuestIdentity['ramBlocks'][number]): string {
  return `${name} ${bytes} bytes at ${replicaOffset}`;
}

/** The CPU the guest sees, in an order of its own: layout and `check=` do not matter. */
function cpuWords(cpuXml: string): string {
  if (cpuXml === '') return 'machine default';
  const { root } = parseDomainXml(`<domain>${cpuXml}</domain>`);
  const cpu = at(root, 'cpu');
  const topology = at(cpu, 'topology');
  const features = children(cpu, 'feature')
    .map((feature) => `${attribute(feature, 'policy') ?? 'require'} ${attribute(feature, 'name')}`)
    .sort();
  const shape = ['sockets', 'dies', 'cores', 'threads']
    .map((level) => attribute(topology, level) ?? '-')
    .join('/');
  return [text(at(cpu, 'model')) ?? attribute(cpu, 'mode'), `topology ${shape}`, ...features].join(
    ', ',
  );
}
