/** Takes a host off this host's list: from then on it is neither called nor let in. */
import type { AgentClient } from '../agent/control/client.js';
import type { Config } from '../config/config-file.js';
import type { ClusterHost } from '../config/hosts-file.js';
import { UnderstudyError } from '../errors.js';
import { hostOfPeer } from '../wire/peer-host.js';
import { clusterError } from './errors.js';
import { hostsOf, ownName, writeHosts } from './files.js';

/** @throws HOST_UNKNOWN, HOST_IS_SELF, HOST_IN_USE unless `force` */
export async function removeHost(
  config: Config,
  name: string,
  { client, force }: { client: Pick<AgentClient, 'list'>; force: boolean },
): Promise<void> {
  const hosts = await hostsOf(config);
  const host = hosts.find((one) => one.name === name);
  if (host === undefined) throw clusterError('HOST_UNKNOWN', `${config.hosts} has no host ${name}`);
  if (name === ownName(config)) throw clusterError('HOST_IS_SELF', `${name} is this host`);
  if (!force) await requireUnused(host, client);
  await writeHosts(
    config,
    hosts.filter((one) => one !== host),
  );
}

async function requireUnused(
  { name, addresses }: ClusterHost,
  client: Pick<AgentClient, 'list'>,
): Promise<void> {
  let used: string[];
  try {
    const domains = await client.list();
    used = domains
      .filter(({ state, over }) => over !== true && state !== 'unprotected')
      .filter(({ peer }) => addresses.includes(hostOfPeer(peer ?? '')))
      .map(({ domain }) => domain);
  } catch (error) {
    if (!(error instanceof UnderstudyError)) throw error;
    throw clusterError('HOST_IN_USE', `nobody can say: ${error.message}`, { cause: error });
  }
  if (used.length > 0) {
    throw clusterError('HOST_IN_USE', `${used.join(', ')} protected together with ${name}`);
  }
}
