/**
 * The image files behind a guest's disks, on its host only. They lie in memory, as all of the
 * laboratory does, and are sparse. A file system is made on the host, without mounting it.
 */
import { mkdir, rm } from 'node:fs/promises';
import { runCommand } from './command.js';
import { labError } from './errors.js';
import { DISK_DIRECTORY } from './layout.js';
import { DISK_MIB_MAX, DISKS_MAX } from './limits.js';
import type { Host } from './place.js';
import type { DiskRecord } from './state.js';

export type DiskFormat = DiskRecord['format'];

export interface DiskOptions {
  /** The target; default by its place: "vda", "vdb", … */
  name?: string;
  format: DiskFormat;
  mib: number;
  /** Default: none, all zeroes. */
  filesystem?: 'ext4';
}

/** New images in place of older ones. @throws LAB_OPTION_INVALID, LAB_COMMAND_FAILED */
export async function createDisks(
  host: Host,
  guest: string,
  disks: readonly DiskOptions[],
): Promise<DiskRecord[]> {
  const planned = plannedDisks(guest, disks);
  if (planned.length > 0) await mkdir(`${host.runDir}${DISK_DIRECTORY}`, { recursive: true });
  await Promise.all(
    planned.map(({ record, filesystem }) =>
      createImage(`${host.runDir}${record.path}`, record, filesystem),
    ),
  );
  return planned.map(({ record }) => record);
}

/** Names and paths of what was asked for. @throws LAB_OPTION_INVALID. Pure. */
export function plannedDisks(
  guest: string,
  disks: readonly DiskOptions[],
): { record: DiskRecord; filesystem: 'ext4' | undefined }[] {
  if (disks.length > DISKS_MAX) {
    throw labError('LAB_OPTION_INVALID', `no more than ${DISKS_MAX} disks in one guest`);
  }
  const planned = disks.map(({ name, format, mib, filesystem }, place) => {
    const target = name ?? `vd${String.fromCharCode('a'.charCodeAt(0) + place)}`;
    if (!/^vd[a-z]$/.test(target)) {
      throw labError('LAB_OPTION_INVALID', `disk name "${target}" is not vda … vdz`);
    }
    if (!Number.isInteger(mib) || mib < 1 || mib > DISK_MIB_MAX) {
      throw labError('LAB_OPTION_INVALID', `disk ${target}: ${mib} MiB is not 1 … ${DISK_MIB_MAX}`);
    }
    const path = `${DISK_DIRECTORY}/${guest}-${target}.${format === 'raw' ? 'img' : 'qcow2'}`;
    return { record: { name: target, path, format, bytes: mib * 2 ** 20 }, filesystem };
  });
  if (new Set(planned.map(({ record }) => record.name)).size < planned.length) {
    throw labError('LAB_OPTION_INVALID', 'two disks of the same name');
  }
  return planned;
}

async function createImage(
  path: string,
  { format, bytes }: DiskRecord,
  filesystem: 'ext4' | undefined,
): Promise<void> {
  if (filesystem === undefined) return createEmpty(path, format, bytes);
  const raw = format === 'raw' ? path : `${path}.raw`;
  await createEmpty(raw, 'raw', bytes);
  // Lazy initialisation would go on in the guest, as writes that nobody asked for.
  const whole = 'lazy_itable_init=0,lazy_journal_init=0';
  await runCommand('mkfs.ext4', ['-q', '-F', '-E', whole, raw]);
  if (raw === path) return;
  await runCommand('qemu-img', ['convert', '-f', 'raw', '-O', format, raw, path]);
  await rm(raw);
}

async function createEmpty(path: string, format: DiskFormat, bytes: number): Promise<void> {
  // A raw file that is there would keep its content.
  await rm(path, { force: true });
  await runCommand('qemu-img', ['create', '-q', '-f', format, path, String(bytes)]);
}
