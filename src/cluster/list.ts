/** The hosts of the cluster, and whether each one's agent answers this host. */
import type { Config } from '../config/config-file.js';
import { UnderstudyError } from '../errors.js';
import { ClusterTrust } from '../pki/cluster-trust.js';
import { expiryOf } from '../pki/credentials.js';
import { hostsOf, ownName } from './files.js';
import { greetAgent } from './greet-agent.js';

export interface ListedHost {
  name: string;
  addresses: string[];
  port: number;
  /** This host itself. */
  here: boolean;
  answers: boolean;
  reason?: { code: string; message: string; remedy: string };
}

export interface HostList {
  hosts: ListedHost[];
  /** Of this host's certificate or its CA, whichever ends first; absent when they cannot be read. */
  certificateExpires?: Date;
}

/** Asks all of them at once. @throws CONFIG_… */
export async function listHosts(config: Config): Promise<HostList> {
  const trust = new ClusterTrust(config);
  const self = ownName(config);
  const hosts = await Promise.all(
    (await hostsOf(config)).map(async ({ name, addresses, port }): Promise<ListedHost> => {
      const host = { name, addresses: [...addresses], port, here: name === self };
      const reason = await silenceOf({ host: addresses[0] ?? name, port }, trust);
      return { ...host, answers: reason === undefined, ...(reason && { reason }) };
    }),
  );
  const expires = await trust.credentials().then(expiryOf, () => undefined);
  return { hosts, ...(expires && { certificateExpires: expires }) };
}

async function silenceOf(
  agent: { host: string; port: number },
  trust: ClusterTrust,
): Promise<ListedHost['reason'] | undefined> {
  try {
    await greetAgent(agent, trust);
    return undefined;
  } catch (error) {
    if (!(error instanceof UnderstudyError)) throw error;
    const { code, message, remedy } = error;
    return { code, message, remedy };
  }
}
