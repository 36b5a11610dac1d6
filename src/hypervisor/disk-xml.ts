/** Pure: what a domain's XML says about its disks. It judges nothing (disk-preflight.ts does). */
import type { Element } from '@xmldom/xmldom';
import { at, attribute, children, required } from './xml.js';

export interface Disk {
  /** The guest's name for it: vda, sda, … */
  name: string;
  /** disk, cdrom, floppy, lun */
  device: string;
  readonly: boolean;
  shareable: boolean;
  /** Its writes go to an overlay that is thrown away at the end. */
  transient: boolean;
  encrypted: boolean;
  /** File or block device on this host. */
  path?: string;
  /** False for an empty drive. */
  hasSource: boolean;
  /** vhostuser, vhostvdpa, nvme, network, file, … */
  type: string;
  /** raw, qcow2, … */
  format: string;
  /** libvirt's cache mode: none, writeback, unsafe, …, or default. */
  cache: string;
  /** It, or the controller it sits on, is served outside QEMU's main loop. */
  iothread: boolean;
  /** A block copy that is under way; only while running. */
  mirror?: DiskMirror;
}

export interface DiskMirror {
  /** copy, active-commit */
  job: string;
  /** The UNIX socket of its target, when it is one. */
  socketPath?: string;
}

export function readDisks(devices: Element | undefined): Disk[] {
  const threaded = threadedControllers(devices);
  return children(devices, 'disk').map((disk) => readDisk(disk, threaded));
}

function readDisk(disk: Element, threaded: ReadonlySet<string>): Disk {
  const source = at(disk, 'source');
  const driver = at(disk, 'driver');
  const path = attribute(source, 'file') ?? attribute(source, 'dev');
  const device = attribute(disk, 'device') ?? 'disk';
  const mirror = at(disk, 'mirror');
  return {
    name: required(attribute(at(disk, 'target'), 'dev'), "a disk's target"),
    device,
    readonly: device === 'cdrom' || at(disk, 'readonly') !== undefined,
    shareable: at(disk, 'shareable') !== undefined,
    transient: at(disk, 'transient') !== undefined,
    encrypted: at(disk, 'encryption') !== undefined || at(source, 'encryption') !== undefined,
    ...(path === undefined ? {} : { path }),
    hasSource: source !== undefined,
    type: attribute(disk, 'type') ?? 'file',
    format: attribute(driver, 'type') ?? 'raw',
    cache: attribute(driver, 'cache') ?? 'default',
    iothread: hasIothread(driver) || threaded.has(controllerOf(disk)),
    ...(mirror === undefined ? {} : { mirror: readMirror(mirror) }),
  };
}

function readMirror(mirror: Element): DiskMirror {
  const host = at(mirror, 'source', 'host');
  const socketPath = attribute(host, 'socket');
  return {
    job: attribute(mirror, 'job') ?? '',
    ...(socketPath === undefined ? {} : { socketPath }),
  };
}

/** One thread as an attribute, several as a list (libvirt 10). */
function hasIothread(driver: Element | undefined): boolean {
  return attribute(driver, 'iothread') !== undefined || at(driver, 'iothreads') !== undefined;
}

function threadedControllers(devices: Element | undefined): ReadonlySet<string> {
  const threaded = children(devices, 'controller').filter((one) => hasIothread(at(one, 'driver')));
  return new Set(
    threaded.map((one) => `${attribute(one, 'type')} ${attribute(one, 'index') ?? '0'}`),
  );
}

function controllerOf(disk: Element): string {
  const controller = attribute(at(disk, 'address'), 'controller') ?? '0';
  return `${attribute(at(disk, 'target'), 'bus') ?? ''} ${controller}`;
}
