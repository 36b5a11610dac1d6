/** Whether another host's agent answers this one, over TLS as sessions will ask it. */
import type { Endpoint } from '../agent/domain/check.js';
import { askReport } from '../agent/domain/report-request.js';
import type { PeerTrust } from '../wire/trust.js';

/** No domain can be called that: libvirt forbids '/'. */
const NO_DOMAIN = '/';

/** Resolves when it does; its verdict on our certificate is part of the answer. @throws WIRE_…, PKI_… */
export async function greetAgent(agent: Endpoint, trust: PeerTrust): Promise<void> {
  await askReport(agent, NO_DOMAIN, [], trust);
}
