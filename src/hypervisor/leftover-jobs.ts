/** Block copies that a session of ours left in a guest when it died: to be ended before new ones start. */
import { UnderstudyError } from '../errors.js';
import type { Disk } from './disk-xml.js';
import type { ProtectedDomain } from './domain.js';
import { readDomainXml } from './domain-xml.js';

/** Pure: the disks that are being copied to a socket below `runDir`; only we make sockets there. */
export function leftoverMirrors(disks: readonly Disk[], runDir: string): string[] {
  const below = `${runDir.replace(/\/+$/, '')}/`;
  return disks
    .filter(({ mirror }) => mirror?.socketPath?.startsWith(below) === true)
    .map(({ name }) => name);
}

/** Ends them; returns the disks they were on. Bounded. @throws LIBVIRT_…, HYP_MONITOR_TIMED_OUT */
export async function endLeftoverJobs(domain: ProtectedDomain, runDir: string): Promise<string[]> {
  const { disks } = readDomainXml(await domain.liveXml());
  const leftovers = leftoverMirrors(disks, runDir);
  for (const disk of leftovers) await endMirror(domain, disk);
  return leftovers;
}

/** Ends the job on `disk`; fine when there is none, or no guest any more. */
export async function endMirror(domain: ProtectedDomain, disk: string): Promise<void> {
  try {
    await domain.endBlockJob(disk);
  } catch (error) {
    if (!(error instanceof UnderstudyError) || error.code === 'HYP_MONITOR_TIMED_OUT') throw error;
    if (await isMirroring(domain, disk)) throw error;
  }
}

async function isMirroring(domain: ProtectedDomain, disk: string): Promise<boolean> {
  try {
    return await domain.hasBlockJob(disk);
  } catch (error) {
    const gone = error instanceof UnderstudyError && GONE_CODES.has(error.code);
    if (gone) return false;
    throw error;
  }
}

/** What libvirt says of a domain that does not exist or does not run. */
const GONE_CODES = new Set(['LIBVIRT_NO_DOMAIN', 'LIBVIRT_WRONG_STATE']);
