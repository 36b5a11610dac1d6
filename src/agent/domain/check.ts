/**
 * Everything that must be so before a domain is protected: what the hypervisor says, whether output can be
 * held, and whether the backup, if one is named, has room for the disks.
 */
import { UnderstudyError } from '../../errors.js';
import type { CheckReport } from '../../hypervisor/check.js';
import { refusal } from '../../hypervisor/check-codes.js';
import type { Hypervisor } from '../../hypervisor/connection.js';
import { hasProcess, inspectDomain } from '../../hypervisor/inspect.js';
import { chooseBackend } from '../../netbuffer/backends.js';
import type { CarriedDisk, StandbyNeeds } from '../../wire/messages.js';
import type { PeerTrust } from '../../wire/trust.js';
import { type Reason, reasonOf } from '../status.js';
import { askReport } from './report-request.js';

export interface Endpoint {
  host: string;
  port: number;
}

export interface BackupToAsk {
  agent: Endpoint;
  trust: PeerTrust;
}

/** A refusal may come from the backup, with a code of its own. */
export interface FullReport extends Omit<CheckReport, 'refusals'> {
  refusals: Reason[];
}

/** Every reason at once. @throws LIBVIRT_NO_DOMAIN and what asking libvirt throws */
export async function checkAll(
  hypervisor: Hypervisor,
  domain: string,
  { runDir, backup }: { runDir: string; backup?: BackupToAsk | undefined },
): Promise<FullReport> {
  const report = await hypervisor.check(domain, runDir);
  const refusals: FullReport['refusals'] = [...report.refusals];
  const found = [...report.found];
  try {
    const { name } = await chooseBackend('auto', { lease: false });
    found.push({ what: 'output hold', detail: `this kernel has what ${name} needs` });
  } catch (error) {
    if (!(error instanceof UnderstudyError)) throw error;
    refusals.push(refusal('CHECK_NO_HOLD', error.message));
  }
  if (backup !== undefined) {
    const against = await askBackup(hypervisor, domain, backup);
    refusals.push(...against);
    if (against.length === 0) {
      const detail = 'answers, and has the room, the memory and the QEMU that it takes';
      found.push({ what: `backup ${backup.agent.host}`, detail });
    }
  }
  return { ...report, found, refusals, protectable: refusals.length === 0 };
}

async function askBackup(
  hypervisor: Hypervisor,
  domain: string,
  { agent, trust }: BackupToAsk,
): Promise<FullReport['refusals']> {
  try {
    const { disks, needs } = await requirementsOf(hypervisor, domain);
    const { refusals } = await askReport(agent, domain, disks, trust, needs);
    return refusals.map((one) => ({ ...one, message: `on ${agent.host}: ${one.message}` }));
  } catch (error) {
    if (!(error instanceof UnderstudyError)) throw error;
    return [reasonOf(error)];
  }
}

/** Of a domain that does not run nothing is known; that is a refusal of its own. */
async function requirementsOf(
  hypervisor: Hypervisor,
  name: string,
): Promise<{ disks: CarriedDisk[]; needs?: StandbyNeeds }> {
  const domain = await hypervisor.domain(name);
  if (!hasProcess(await domain.state())) return { disks: [] };
  const { mirrored, hostFiles, nics, memoryBytes, qemuVersion } = await inspectDomain(domain);
  const replicas = new Set(mirrored.map(({ path }) => path));
  return {
    disks: mirrored.map(({ name: disk, bytes }) => ({ name: disk, bytes })),
    needs: {
      memoryBytes,
      qemuVersion,
      // The standby has replicas in place of these.
      files: hostFiles.filter((path) => !replicas.has(path)),
      bridges: [...new Set(nics.flatMap(({ bridge }) => bridge ?? []))],
    },
  };
}
