/**
 * Pure: what a libvirt domain XML says, as plain facts. It judges nothing (preflight.ts does)
 * and drops nothing that a judgement could need: devices it has no type for are listed by name.
 */
import type { Element } from '@xmldom/xmldom';
import { type Disk, readDisks } from './disk-xml.js';
import {
  at,
  attribute,
  children,
  elements,
  parseDomainXml,
  required,
  sizeBytes,
  text,
} from './xml.js';

export interface Nic {
  /** Alias, or the MAC address in an inactive definition. */
  name: string;
  mac: string;
  /** libvirt's interface type: bridge, network, direct, user, vhostuser, … */
  type: string;
  model: string;
  /** The Linux bridge, when libvirt names one. */
  bridge?: string;
  /** The host's tap; only while running. */
  tap?: string;
  /** "openvswitch", "802.1Qbh", … */
  virtualPort?: string;
  /** libvirt network filter (nwfilter) on the tap. */
  filter?: string;
}

/** A device of which only existence and identity matter. */
export interface OtherDevice {
  /** The XML element: hostdev, tpm, shmem, filesystem, memory, … */
  element: string;
  /** Alias, or position among its kind. */
  name: string;
  /** `type`, `model` or `mode`, for messages. */
  detail: string;
}

export interface DomainDefinition {
  name: string;
  uuid: string;
  /** kvm or qemu */
  virtType: string;
  arch: string;
  machine: string;
  emulator: string;
  vcpus: number;
  memoryBytes: number;
  /** What the balloon was last asked for. */
  currentMemoryBytes: number;
  cpu: { mode: string; xml: string };
  firmware: 'bios' | 'uefi';
  hugePages: boolean;
  /** memoryBacking source: anonymous, memfd or file. */
  memorySource: string;
  launchSecurity?: string;
  freePageReporting: boolean;
  nics: Nic[];
  disks: Disk[];
  otherDevices: OtherDevice[];
  /** Files of this host that QEMU opens and another host must have too. */
  hostFiles: string[];
}

/** @throws HYP_XML_BAD */
export function readDomainXml(xml: string): DomainDefinition {
  const { root } = parseDomainXml(xml);
  const os = at(root, 'os');
  const osType = at(os, 'type');
  const devices = at(root, 'devices');
  const memory = at(root, 'memory');
  const backing = at(root, 'memoryBacking');
  const launchSecurity = attribute(at(root, 'launchSecurity'), 'type');
  const disks = readDisks(devices);
  const emulator = required(text(at(devices, 'emulator')), 'the emulator');
  return {
    name: required(text(at(root, 'name')), 'the name'),
    uuid: required(text(at(root, 'uuid')), 'the uuid'),
    virtType: required(attribute(root, 'type'), 'the domain type'),
    arch: required(attribute(osType, 'arch'), 'the architecture'),
    machine: required(attribute(osType, 'machine'), 'the machine type'),
    emulator,
    vcpus: vcpuCount(at(root, 'vcpu')),
    memoryBytes: sizeBytes(memory, 'memory'),
    currentMemoryBytes: sizeBytes(at(root, 'currentMemory') ?? memory, 'current memory'),
    cpu: readCpu(at(root, 'cpu')),
    firmware: isUefi(os) ? 'uefi' : 'bios',
    hugePages: at(backing, 'hugepages') !== undefined,
    memorySource: attribute(at(backing, 'source'), 'type') ?? 'anonymous',
    ...(launchSecurity === undefined ? {} : { launchSecurity }),
    freePageReporting: attribute(at(devices, 'memballoon'), 'freePageReporting') === 'on',
    nics: children(devices, 'interface').map(readNic),
    disks,
    otherDevices: devices === undefined ? [] : readOthers(devices),
    hostFiles: hostFiles(os, emulator, disks),
  };
}

function vcpuCount(vcpu: Element | undefined): number {
  const count = Number(attribute(vcpu, 'current') ?? text(vcpu) ?? '1');
  required(Number.isInteger(count) && count > 0 ? 'ok' : undefined, 'a number of vcpus');
  return count;
}

function readCpu(cpu: Element | undefined): DomainDefinition['cpu'] {
  return cpu === undefined
    ? { mode: 'custom', xml: '' }
    : { mode: attribute(cpu, 'mode') ?? 'custom', xml: cpu.toString() };
}

function isUefi(os: Element | undefined): boolean {
  return (
    attribute(os, 'firmware') === 'efi' ||
    attribute(at(os, 'loader'), 'type') === 'pflash' ||
    at(os, 'nvram') !== undefined
  );
}

function readNic(nic: Element): Nic {
  const mac = required(attribute(at(nic, 'mac'), 'address'), "an interface's MAC address");
  const bridge = attribute(at(nic, 'source'), 'bridge');
  const tap = attribute(at(nic, 'target'), 'dev');
  const virtualPort = attribute(at(nic, 'virtualport'), 'type');
  const filter = attribute(at(nic, 'filterref'), 'filter');
  return {
    name: attribute(at(nic, 'alias'), 'name') ?? mac,
    mac: mac.toLowerCase(),
    type: required(attribute(nic, 'type'), "an interface's type"),
    model: attribute(at(nic, 'model'), 'type') ?? 'default',
    ...(bridge === undefined ? {} : { bridge }),
    ...(tap === undefined ? {} : { tap }),
    ...(virtualPort === undefined ? {} : { virtualPort }),
    ...(filter === undefined ? {} : { filter }),
  };
}

function readOthers(devices: Element): OtherDevice[] {
  const seen = new Map<string, number>();
  return elements(devices)
    .filter(
      ({ tagName }) => tagName !== 'emulator' && tagName !== 'disk' && tagName !== 'interface',
    )
    .map((device) => {
      const element = device.tagName;
      const index = seen.get(element) ?? 0;
      seen.set(element, index + 1);
      return {
        element,
        name: attribute(at(device, 'alias'), 'name') ?? `${element}${index}`,
        detail:
          attribute(device, 'type') ??
          attribute(device, 'model') ??
          attribute(device, 'mode') ??
          '',
      };
    });
}

function hostFiles(os: Element | undefined, emulator: string, disks: readonly Disk[]): string[] {
  const boot = ['kernel', 'initrd', 'dtb', 'loader'].flatMap((tag) => text(at(os, tag)) ?? []);
  const media = disks.flatMap(({ path }) => path ?? []);
  return [emulator, ...boot, ...media];
}
