/** Waits until the agent of a host answers this one. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Config } from '../config/config-file.js';
import type { ClusterHost } from '../config/hosts-file.js';
import { messageOf } from '../errors.js';
import { ClusterTrust } from '../pki/cluster-trust.js';
import { clusterError } from './errors.js';
import { greetAgent } from './greet-agent.js';
import { AGENT_ANSWER_RETRY_MS, AGENT_ANSWER_TIMEOUT_MS } from './limits.js';

/** Over TLS, as sessions will: it proves certificates, list and firewall in one. @throws HOST_AGENT_SILENT */
export async function waitForAgent(
  config: Config,
  { name, addresses, port }: ClusterHost,
): Promise<void> {
  const trust = new ClusterTrust(config);
  const deadlineMs = performance.now() + AGENT_ANSWER_TIMEOUT_MS;
  for (;;) {
    try {
      await greetAgent({ host: addresses[0] ?? name, port }, trust);
      return;
    } catch (error) {
      if (performance.now() > deadlineMs) {
        const message = `${name} at ${addresses[0]}:${port}: ${messageOf(error)}`;
        throw clusterError('HOST_AGENT_SILENT', message, { cause: error });
      }
      await delay(AGENT_ANSWER_RETRY_MS);
    }
  }
}
