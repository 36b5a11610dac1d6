/**
 * Everything that must be so before a domain is protected: what the hypervisor says, whether output can be
 * held, and whether the backup, if one is named, has room for the disks.
 */
import { UnderstudyError } from '../errors.js';
import type { CheckReport } from '../hypervisor/check.js';
import { refusal } from '../hypervisor/check-codes.js';
import type { Hypervisor } from '../hypervisor/connection.js';
import { inspectDomain } from '../hypervisor/inspect.js';
import { holderBackend } from '../netbuffer/holder.js';
import type { PeerTrust } from '../wire/trust.js';
import { askReport } from './report-request.js';
import { type Reason, reasonOf } from './status.js';

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
  const probe = await holderBackend.probe();
  if (!probe.available) refusals.push(refusal('CHECK_NO_HOLD', probe.reason));
  if (backup !== undefined) {
    refusals.push(...(await askBackup(hypervisor, domain, backup)));
  }
  return { ...report, refusals, protectable: refusals.length === 0 };
}

async function askBackup(
  hypervisor: Hypervisor,
  domain: string,
  { agent, trust }: BackupToAsk,
): Promise<FullReport['refusals']> {
  try {
    const { mirrored } = await inspectDomain(await hypervisor.domain(domain));
    const disks = mirrored.map(({ name, bytes }) => ({ name, bytes }));
    const { refusals } = await askReport(agent, domain, disks, trust);
    return refusals.map((one) => ({ ...one, message: `on ${agent.host}: ${one.message}` }));
  } catch (error) {
    if (!(error instanceof UnderstudyError)) throw error;
    return [reasonOf(error)];
  }
}
