/** Begins a cluster on this host: its CA, this host's certificate, a list with this host alone. */
import { existsSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { stringify } from 'yaml';
import { AGENT_PORT_DEFAULT } from '../agent/limits.js';
import type { Config } from '../config/config-file.js';
import type { ClusterHost } from '../config/hosts-file.js';
import { writeDurable } from '../durable-file.js';
import { issueCertificate, makeAuthority } from '../pki/authority.js';
import { pkiError } from '../pki/errors.js';
import { pkiFiles } from '../pki/files.js';
import { clusterError } from './errors.js';
import { checkedHost, hostsOf, ownName, withHost, writeCertificate, writeHosts } from './files.js';

export interface InitRequest {
  name: string | undefined;
  addresses: readonly string[];
  port: number;
}

/** Changes nothing when it throws. @throws PKI_EXISTS, HOST_ADDRESS_NEEDED, HOST_NAME_INVALID, HOST_EXISTS */
export async function initCluster(
  config: Config,
  request: InitRequest,
  configFile: string,
): Promise<ClusterHost> {
  const files = pkiFiles(config.pki);
  for (const path of [files.ca, files.caKey, files.certificate, files.key]) {
    if (existsSync(path)) throw pkiError('PKI_EXISTS', `there is ${path}`);
  }
  const { name = ownName(config), port } = request;
  const addresses = request.addresses.length > 0 ? [...request.addresses] : [onlyAddress()];
  const host = checkedHost({ name, addresses, port });
  const hosts = withHost(await hostsOf(config), host);
  const authority = await makeAuthority();
  await writeDurable(files.caKey, authority.key);
  await writeCertificate(files, authority, await issueCertificate(authority, host));
  await writeHosts(config, hosts);
  if (!existsSync(configFile)) {
    const listen = port === AGENT_PORT_DEFAULT ? {} : { listen: `0.0.0.0:${port}` };
    await writeDurable(configFile, stringify({ host: name, ...listen }));
  }
  return host;
}

function onlyAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  const usable = all.filter(({ internal, family }) => !internal && family === 'IPv4');
  const [first, ...others] = usable.map(({ address }) => address);
  if (first !== undefined && others.length === 0) return first;
  const found = first === undefined ? 'none' : [first, ...others].join(', ');
  throw clusterError('HOST_ADDRESS_NEEDED', `addresses of this host: ${found}`);
}
