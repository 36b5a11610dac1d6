/** Pure: which disks are carried to the backup, and which forbid protection, with every reason at once. */
import { note, type Refusal, type RefusalCode, refusal, type Verdict } from './check-codes.js';
import type { Disk } from './disk-xml.js';
import { MIRRORED_DISKS_MAX } from './limits.js';

/** A disk that the guest may write, and whose content therefore belongs to every epoch. */
export function isMirrored(disk: Disk): boolean {
  return !disk.readonly && disk.hasSource;
}

export function judgeDisks(disks: readonly Disk[]): Verdict {
  const refusals = disks.flatMap(judgeDisk);
  const mirrored = disks.filter(isMirrored);
  if (mirrored.length > MIRRORED_DISKS_MAX) {
    const message = `${mirrored.length} writable disks; ${MIRRORED_DISKS_MAX} are allowed`;
    refusals.push(refusal('CHECK_TOO_MANY_DISKS', message));
  }
  const unsafe = mirrored.filter(({ cache }) => cache === 'unsafe');
  return {
    refusals,
    notes: unsafe.map(({ name }) =>
      note('CHECK_NOTE_DISK_CACHE_UNSAFE', `disk ${name} has cache="unsafe"`),
    ),
  };
}

/** What the bus or the owner of a device forbids, whether it is written or not, comes before everything else. */
function judgeDisk(disk: Disk): Refusal[] {
  const what = `${disk.device} ${disk.name}`;
  if (disk.type === 'vhostuser' || disk.type === 'vhostvdpa') {
    return [refusal('CHECK_SHARED_MEMORY_DEVICE', `${what} is ${disk.type}`)];
  }
  if (disk.type === 'nvme' || disk.device === 'lun') {
    return [refusal('CHECK_HOST_DEVICE', `${what} is passed through (${disk.type})`)];
  }
  if (disk.shareable) return [refusal('CHECK_SHARED_DISK', `${what} is shareable`)];
  return isMirrored(disk) ? judgeMirrored(disk, what) : [];
}

function judgeMirrored(disk: Disk, what: string): Refusal[] {
  const rows: [boolean, RefusalCode, string][] = [
    [disk.device !== 'disk', 'CHECK_DISK_REMOVABLE', `${what} has a writable medium`],
    [!LOCAL_TYPES.has(disk.type), 'CHECK_DISK_NOT_LOCAL', `${what} is of type ${disk.type}`],
    [!FORMATS.has(disk.format), 'CHECK_DISK_FORMAT', `${what} has the format ${disk.format}`],
    [disk.encrypted, 'CHECK_DISK_ENCRYPTED', `${what} is encrypted`],
    [disk.transient, 'CHECK_DISK_TRANSIENT', `${what} is transient`],
    [disk.iothread, 'CHECK_DISK_IOTHREAD', `${what} has an I/O thread`],
  ];
  return rows.filter(([wrong]) => wrong).map(([, code, message]) => refusal(code, message));
}

const LOCAL_TYPES = new Set(['file', 'block']);
const FORMATS = new Set(['raw', 'qcow2']);
