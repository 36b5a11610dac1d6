/**
 * Whether a guest wrote to its disks at all, seen from the files' modification times: it costs
 * microseconds, where asking QEMU costs milliseconds.
 *
 * The kernel stamps a write with the time of its last clock tick (current_time in fs/inode.c), so two
 * writes of one tick look the same. An unchanged stamp therefore says something only when it was older than a tick
 * already when it was looked at first.
 */
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { CLOCK_TICK_MS_MAX } from './limits.js';

export interface Look {
  readonly atMs: number;
  readonly modifiedNs: readonly bigint[];
}

export interface WrittenDisk {
  path: string;
  format: string;
}

/** Looks at disks whose every write shows in one file; undefined when that is not so for one of them. */
export function diskLook(disks: readonly WrittenDisk[]): (() => Look) | undefined {
  if (!disks.every(writesShow)) return undefined;
  return () => ({
    atMs: Date.now(),
    modifiedNs: disks.map(({ path }) => statSync(path, { bigint: true }).mtimeNs),
  });
}

/** Pure: nothing was written between the two looks. */
export function isUnwritten(before: Look, now: Look): boolean {
  return before.modifiedNs.every((stamp, disk) => {
    const settled = Number(stamp / 1_000_000n) < before.atMs - CLOCK_TICK_MS_MAX;
    return settled && stamp === now.modifiedNs[disk];
  });
}

function writesShow({ path, format }: WrittenDisk): boolean {
  if (!statSync(path).isFile()) return false;
  return format === 'raw' || (format === 'qcow2' && !hasDataFile(path));
}

/** docs/interop/qcow2.txt in QEMU: incompatible feature bit 2, external data file. */
function hasDataFile(path: string): boolean {
  const header = Buffer.alloc(QCOW2_HEADER_BYTES);
  const file = openSync(path, 'r');
  try {
    if (readSync(file, header, 0, header.length, 0) < header.length) return true;
  } finally {
    closeSync(file);
  }
  const version = header.readUInt32BE(4);
  return version >= 3 && (header.readBigUInt64BE(72) & 4n) !== 0n;
}

const QCOW2_HEADER_BYTES = 80;
