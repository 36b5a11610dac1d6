/** What the primary tells the backup about a domain, once: enough to start its standby and to keep it afterwards. */
import type { ProtectedDomain } from './domain.js';
import { portableDefinition } from './standby-xml.js';

export interface DomainDescription {
  /** The running guest, startable on another host. */
  definition: string;
  /** The persistent definition, which may differ from what runs; absent for a transient domain. */
  persistentXml?: string;
}

/** @throws HYP_XML_BAD, LIBVIRT_… */
export async function describeDomain(domain: ProtectedDomain): Promise<DomainDescription> {
  const definition = portableDefinition(await domain.migratableXml(), await domain.liveXml());
  if (!(await domain.isPersistent())) return { definition };
  return { definition, persistentXml: await domain.inactiveXml() };
}
