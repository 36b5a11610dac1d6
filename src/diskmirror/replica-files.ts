/**
 * The files and devices on the backup that hold a domain's replica disks: found, made, measured.
 *
 * A disk's replica is what this host's record names, when that is raw; else `REPLICAS/DOMAIN/vda.raw`,
 * which may be a symbolic link to a block device.
 */
import { mkdir, open, readFile, realpath, rm, stat, statfs } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { messageOf } from '../errors.js';
import type { CarriedDisk } from '../wire/messages.js';
import type { DiskOnHost, DisksOnHost } from './disk-record.js';
import { diskError } from './errors.js';
import { SPACE_RESERVE_BYTES } from './limits.js';

export interface ReplicaPlace {
  domain: string;
  disks: readonly CarriedDisk[];
  /** Directory of replicas that we make ourselves. */
  replicaDir: string;
  /** What this host knows of the domain's disks. */
  known: DisksOnHost | undefined;
}

export interface ReplicaFile extends DiskOnHost {
  format: 'raw';
  block: boolean;
  /** Made just now: reads as zeroes. */
  fresh: boolean;
}

/** A place for every disk, in their order, with nothing made or changed. @throws DISK_REPLICA_UNUSABLE, DISK_NO_SPACE */
export async function findReplicas(place: ReplicaPlace): Promise<ReplicaFile[]> {
  const files: ReplicaFile[] = [];
  for (const disk of place.disks) files.push(await findReplica(disk, place));
  await requireSpace(place, files);
  return files;
}

/** Makes the files that are missing, sparse. @throws DISK_REPLICA_UNUSABLE */
export async function makeReplicas(files: readonly ReplicaFile[]): Promise<void> {
  for (const { path, bytes, fresh } of files) {
    if (!fresh) continue;
    try {
      await mkdir(dirname(path), { recursive: true, mode: 0o711 });
      await rm(path, { force: true });
      const file = await open(path, 'wx', 0o600);
      await file.truncate(bytes).finally(() => file.close());
    } catch (cause) {
      throw diskError('DISK_REPLICA_UNUSABLE', `${path}: ${messageOf(cause)}`, { cause });
    }
  }
}

export function replicaDirectory(replicaDir: string, domain: string): string {
  return join(replicaDir, encodeURIComponent(domain));
}

async function findReplica(disk: CarriedDisk, place: ReplicaPlace): Promise<ReplicaFile> {
  const own = join(replicaDirectory(place.replicaDir, place.domain), `${disk.name}.raw`);
  const known = place.known?.disks.find(({ name }) => name === disk.name);
  const path = known?.format === 'raw' ? known.path : own;
  const found = await measure(path);
  const file = { ...disk, path, format: 'raw', block: found?.block ?? false } as const;
  if (found === undefined) return { ...file, fresh: true };
  if (found.bytes === disk.bytes) return { ...file, fresh: false };
  // One of ours of another size belonged to another life of the domain; anything else is not ours to replace.
  if (path === own && !found.block) return { ...file, fresh: true };
  const message = `${path} has ${found.bytes} bytes; ${disk.name} has ${disk.bytes}`;
  throw diskError('DISK_REPLICA_UNUSABLE', message, { domain: place.domain });
}

interface Measured {
  bytes: number;
  block: boolean;
  allocatedBytes: number;
}

/** Undefined when there is nothing at `path`. */
async function measure(path: string): Promise<Measured | undefined> {
  try {
    const { size, blocks, isBlockDevice, isFile } = await facts(path);
    if (!isBlockDevice && !isFile) throw new Error('neither a file nor a block device');
    return { bytes: size, block: isBlockDevice, allocatedBytes: blocks * STAT_BLOCK_BYTES };
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw diskError('DISK_REPLICA_UNUSABLE', `${path}: ${messageOf(cause)}`, { cause });
  }
}

/** st_blocks counts these, whatever the file system's block (stat(2)). */
const STAT_BLOCK_BYTES = 512;

async function facts(path: string) {
  const status = await stat(path);
  const kind = { isBlockDevice: status.isBlockDevice(), isFile: status.isFile() };
  if (!kind.isBlockDevice) return { ...kind, size: status.size, blocks: status.blocks };
  // stat says 0 for a device; the kernel counts sectors of 512 bytes (block/genhd.c).
  const name = basename(await realpath(path));
  const sectors = Number(await readFile(`/sys/class/block/${name}/size`, 'utf8'));
  return { ...kind, size: sectors * STAT_BLOCK_BYTES, blocks: 0 };
}

/** What replicas can still grow to must be free, on each file system. @throws DISK_NO_SPACE */
async function requireSpace(place: ReplicaPlace, files: readonly ReplicaFile[]): Promise<void> {
  const systems = new Map<number, { directory: string; bytes: number }>();
  for (const { path, block, bytes } of files) {
    if (block) continue;
    const directory = await existingParent(dirname(path));
    const { dev } = await stat(directory);
    const allocated = (await measure(path))?.allocatedBytes ?? 0;
    const before = systems.get(dev)?.bytes ?? 0;
    systems.set(dev, { directory, bytes: before + Math.max(0, bytes - allocated) });
  }
  for (const { directory, bytes } of systems.values()) {
    const { bavail, bsize } = await statfs(directory);
    const free = bavail * bsize;
    if (free >= bytes + SPACE_RESERVE_BYTES) continue;
    const mib = (value: number): number => Math.ceil(value / 1024 ** 2);
    const message = `replicas under ${directory} can grow by ${mib(bytes)} MiB; ${mib(free)} MiB are free`;
    throw diskError('DISK_NO_SPACE', message, { domain: place.domain });
  }
}

async function existingParent(directory: string): Promise<string> {
  const there = await stat(directory).catch(() => undefined);
  return there !== undefined ? directory : existingParent(dirname(directory));
}
