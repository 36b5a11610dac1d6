/** The steps of a recovery that change who a domain belongs to. Each may be interrupted and done again. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { writeDurable } from '../../durable-file.js';
import { UnderstudyError } from '../../errors.js';
import type { ProtectedDomain } from '../../hypervisor/domain.js';
import type { Host } from '../host.js';
import { LOG_EVENTS } from '../log.js';
import type { DomainRecord } from './domain-record.js';
import { claimTerm } from './peer-agent.js';

/**
 * The other host has the domain under `term`: what is left of it here ends. Its definition is kept as a file, as
 * the one that counts is the other host's.
 */
export async function yieldDomain(host: Host, record: DomainRecord, term: number): Promise<void> {
  const { domain } = record;
  await host.terms.write({ domain, term, ours: false });
  await host.withHypervisor(async (hypervisor) => {
    const known = (await hypervisor.list()).find(({ name }) => name === domain);
    if (known === undefined) return;
    const copy = await hypervisor.domain(domain);
    if (known.running) await copy.destroy();
    await forgetDefinition(host, copy);
  });
  const { takeover: _, ...rest } = record;
  await host.records.write({ ...rest, role: 'backup', endedOnPurpose: false });
  host.log.warn(LOG_EVENTS.domainYielded, { domain, term });
}

/** A takeover that did not come to run the domain: nothing of it is here any more. */
export async function releaseTerm(host: Host, { domain }: DomainRecord): Promise<void> {
  const { term } = await host.terms.read(domain);
  await host.terms.write({ domain, term, ours: false });
}

/** The other host agrees that the domain is this one's; one that died is started again. */
export async function claimDomain(
  host: Host,
  record: DomainRecord,
  peerTerm: number,
): Promise<void> {
  const { domain, peer, endedOnPurpose } = record;
  const own = await host.terms.read(domain);
  const term = Math.max(own.term, peerTerm) + 1;
  await claimTerm({ agent: peer, trust: host.trust }, domain, term);
  await host.terms.write({ domain, term, ours: true });
  host.log.warn(LOG_EVENTS.domainClaimed, { domain, term, starts: !endedOnPurpose });
  if (endedOnPurpose) return;
  await host.withHypervisor(async (hypervisor) => {
    // A transient domain went with its QEMU: there is nothing to start.
    if (!(await hypervisor.list()).some(({ name }) => name === domain)) return;
    await (await hypervisor.domain(domain)).create();
  });
}

/** After a switchover the guest here has ended already: what is left is a definition that somebody might start. */
export async function forgetStopped(host: Host, domain: string): Promise<void> {
  await host.withHypervisor(async (hypervisor) => {
    const known = (await hypervisor.list()).find(({ name }) => name === domain);
    if (known === undefined || known.running) return;
    await forgetDefinition(host, await hypervisor.domain(domain));
  });
}

async function forgetDefinition(host: Host, copy: ProtectedDomain): Promise<void> {
  try {
    if (!(await copy.isPersistent())) return;
    const directory = join(host.options.stateDir, 'definitions');
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const path = join(directory, `${encodeURIComponent(copy.name)}.xml`);
    await writeDurable(path, await copy.inactiveXml());
    await copy.undefine();
  } catch (error) {
    // A transient domain is gone with its QEMU.
    if (!(error instanceof UnderstudyError && error.code === 'LIBVIRT_NO_DOMAIN')) throw error;
  }
}
