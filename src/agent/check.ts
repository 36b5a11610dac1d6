/** Everything that must be so before a domain is protected: what the hypervisor says, and whether output can be held. */
import type { CheckReport } from '../hypervisor/check.js';
import { refusal } from '../hypervisor/check-codes.js';
import type { Hypervisor } from '../hypervisor/connection.js';
import { holderBackend } from '../netbuffer/holder.js';

/** Every reason at once. @throws LIBVIRT_NO_DOMAIN and what asking libvirt throws */
export async function checkAll(hypervisor: Hypervisor, domain: string): Promise<CheckReport> {
  const report = await hypervisor.check(domain);
  const probe = await holderBackend.probe();
  if (probe.available) return report;
  const refusals = [...report.refusals, refusal('CHECK_NO_HOLD', probe.reason)];
  return { ...report, protectable: false, refusals };
}
