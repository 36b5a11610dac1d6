/**
 * Pure: a domain's XML with its disks on their replicas.
 *
 * What the guest can see of a disk stays: target, bus, address, serial, boot order, block sizes,
 * queues. What lies behind it is replaced: a replica is one raw file or block device with the content of the
 * whole chain.
 */
import { type Element, XMLSerializer } from '@xmldom/xmldom';
import { hypervisorError } from './errors.js';
import { append, at, attribute, children, parseDomainXml } from './xml.js';

export interface ReplicaDisk {
  /** The disk's target: vda. */
  name: string;
  path: string;
  /** A block device; else a raw file. */
  block: boolean;
}

/** Facts of the source: its chain, its copy under way, its encryption, its storage. */
const SOURCE_PARTS = ['source', 'backingStore', 'mirror', 'encryption', 'auth'];
/** Driver settings that make sense only for a format, a backing chain or a copy that is thrown away. */
const FORMAT_SETTINGS = ['copy_on_read', 'discard_no_unref'];

/** @throws HYP_XML_BAD when the domain lacks one of `disks` */
export function useReplicas(root: Element, disks: readonly ReplicaDisk[]): void {
  const present = diskElements(root);
  for (const replica of disks) {
    const disk = present.get(replica.name);
    if (disk === undefined) {
      throw hypervisorError('HYP_XML_BAD', `bad domain XML: there is no disk ${replica.name}`);
    }
    useReplica(disk, replica);
  }
}

/**
 * A definition to be kept: those of `disks` that it has are on their replicas. A disk that was plugged into the
 * running guest only is not in it. @throws HYP_XML_BAD
 */
export function onReplicas(definition: string, disks: readonly ReplicaDisk[]): string {
  if (disks.length === 0) return definition;
  const { document, root } = parseDomainXml(definition);
  const present = diskElements(root);
  useReplicas(
    root,
    disks.filter(({ name }) => present.has(name)),
  );
  return new XMLSerializer().serializeToString(document);
}

function diskElements(root: Element): Map<string, Element> {
  const disks = children(at(root, 'devices'), 'disk');
  return new Map(disks.map((disk) => [attribute(at(disk, 'target'), 'dev') ?? '', disk]));
}

function useReplica(disk: Element, { path, block }: ReplicaDisk): void {
  for (const part of SOURCE_PARTS) {
    for (const old of children(disk, part)) disk.removeChild(old);
  }
  disk.setAttribute('type', block ? 'block' : 'file');
  useRawDriver(disk);
  append(disk, element(disk, 'source')).setAttribute(block ? 'dev' : 'file', path);
}

function useRawDriver(disk: Element): void {
  const driver = at(disk, 'driver') ?? append(disk, element(disk, 'driver'));
  driver.setAttribute('name', 'qemu');
  driver.setAttribute('type', 'raw');
  for (const setting of FORMAT_SETTINGS) driver.removeAttribute(setting);
  for (const cache of children(driver, 'metadata_cache')) driver.removeChild(cache);
}

function element(disk: Element, tagName: string): Element {
  const { ownerDocument } = disk;
  if (ownerDocument === null) throw new Error('an element of a parsed document has no document');
  return ownerDocument.createElement(tagName);
}
