/**
 * Pure: the primary's domain XML made into (1) a definition any host can keep, and (2) the XML
 * that starts its standby.
 *
 * PCI addresses, MACs, machine type and CPU must come through untouched: device state is
 * matched by them. The migratable XML has already dropped aliases, generated tap names, labels
 * and the id, but it also has the CPU as it was asked for; the CPU that the guest has been
 * shown (live XML, `check='full'`) replaces it, so that libvirt refuses a host that would show another.
 */
import { type Document, type Element, XMLSerializer } from '@xmldom/xmldom';
import { type ReplicaDisk, useReplicas } from './replica-disks.js';
import { append, at, attribute, children, elements, parseDomainXml } from './xml.js';

const QEMU_NAMESPACE = 'http://libvirt.org/schemas/domain/qemu/1.0';

/** Changes the XML for this host (console paths, bridge names) before the standby starts. */
export type RewriteXml = (document: Document) => void;

export interface StandbyXml {
  /** The replicas of the disks that the guest may write; their files must exist, as large as the disks. */
  disks?: readonly ReplicaDisk[];
  rewrite?: RewriteXml;
  /** A monitor for us alone. */
  ownMonitor?: OwnMonitorPlace;
}

export interface OwnMonitorPlace {
  /** Where QEMU connects to. */
  path: string;
  /** Its version: "7.2.22". */
  qemu: string;
}

/** Names what is ours on QEMU's command line. */
const OWN_MONITOR = 'understudy';

/** The domain as another host may define it. Nothing of a standby's life remains in it. @throws HYP_XML_BAD */
export function portableDefinition(migratableXml: string, liveXml: string): string {
  const { document, root } = parseDomainXml(migratableXml);
  const live = parseDomainXml(liveXml).root;
  removeOurs(root);
  for (const label of children(root, 'seclabel')) root.removeChild(label);
  for (const nic of children(at(root, 'devices'), 'interface')) forgetPort(nic);
  const cpu = at(root, 'cpu');
  const shownCpu = at(live, 'cpu');
  if (shownCpu !== undefined) {
    const copy = document.importNode(shownCpu, true);
    if (cpu === undefined) append(root, copy);
    else root.replaceChild(copy, cpu);
  }
  return serialize(document);
}

/**
 * The XML of a standby: RAM in a shared memfd, disks on their replicas, waiting for device state.
 * @throws HYP_XML_BAD
 */
export function standbyXml(
  definition: string,
  { disks = [], rewrite, ownMonitor }: StandbyXml = {},
): string {
  const { document, root } = parseDomainXml(definition);
  useReplicas(root, disks);
  removeOurs(root);
  useSharedMemfd(document, root);
  const monitor = ownMonitor === undefined ? [] : ownMonitorArgs(ownMonitor);
  appendArgs(document, commandLine(document, root), ['-incoming', 'defer', ...monitor]);
  rewrite?.(document);
  return serialize(document);
}

/** A network's port and the bridge behind it are facts of the primary's host. */
function forgetPort(nic: Element): void {
  const source = at(nic, 'source');
  if (source === undefined) return;
  source.removeAttribute('portid');
  if (attribute(nic, 'type') === 'network') source.removeAttribute('bridge');
}

function useSharedMemfd(document: Document, root: Element): void {
  const backing =
    at(root, 'memoryBacking') ?? append(root, document.createElement('memoryBacking'));
  for (const tag of ['source', 'access']) {
    for (const old of children(backing, tag)) backing.removeChild(old);
  }
  append(backing, document.createElement('source')).setAttribute('type', 'memfd');
  append(backing, document.createElement('access')).setAttribute('mode', 'shared');
}

/** Whether the QEMU of a live domain connects a monitor for us to `path`. @throws HYP_XML_BAD */
export function hasOwnMonitor(liveXml: string, path: string): boolean {
  const lines = commandLines(parseDomainXml(liveXml).root);
  return lines.some((line) =>
    elements(line).some((arg) => valueIn(arg).startsWith(`${ownMonitorSocket(path)},reconnect`)),
  );
}

function ownMonitorArgs({ path, qemu }: OwnMonitorPlace): string[] {
  const [major = 0, minor = 0] = qemu.split('.').map(Number);
  // The old spelling is deprecated since 9.2 (docs/about/deprecated.rst).
  const reconnect = major * 1000 + minor < 9002 ? 'reconnect=1' : 'reconnect-ms=1000';
  const monitor = `chardev=${OWN_MONITOR},mode=control`;
  return ['-chardev', `${ownMonitorSocket(path)},${reconnect}`, '-mon', monitor];
}

/** A comma within a value is written twice (QemuOpts). */
const ownMonitorSocket = (path: string): string =>
  `socket,id=${OWN_MONITOR},path=${path.replaceAll(',', ',,')}`;

/** Takes away what an earlier life as a standby left on the command line. */
function removeOurs(root: Element): void {
  for (const line of commandLines(root)) {
    const args = elements(line);
    args.forEach((arg, index) => {
      const value = args[index + 1];
      if (!isOurs(valueIn(arg), value === undefined ? '' : valueIn(value))) return;
      line.removeChild(arg);
      if (value !== undefined) line.removeChild(value);
    });
    if (elements(line).length === 0) root.removeChild(line);
  }
}

function isOurs(option: string, value: string): boolean {
  if (option === '-incoming') return true;
  if (option === '-chardev') return value.startsWith(`socket,id=${OWN_MONITOR},`);
  return option === '-mon' && value.startsWith(`chardev=${OWN_MONITOR},`);
}

const valueIn = (arg: Element): string => attribute(arg, 'value') ?? '';

function commandLines(root: Element): Element[] {
  return elements(root).filter(
    ({ namespaceURI, localName }) => namespaceURI === QEMU_NAMESPACE && localName === 'commandline',
  );
}

function commandLine(document: Document, root: Element): Element {
  const [line] = commandLines(root);
  return line ?? append(root, document.createElementNS(QEMU_NAMESPACE, 'qemu:commandline'));
}

function appendArgs(document: Document, line: Element, values: readonly string[]): void {
  for (const value of values) {
    const arg = document.createElementNS(QEMU_NAMESPACE, 'qemu:arg');
    append(line, arg).setAttribute('value', value);
  }
}

function serialize(document: Document): string {
  return new XMLSerializer().serializeToString(document);
}
