/** The cluster as the files of this host have it: its CA, if it was made here, and the list of hosts. */
import { hostname } from 'node:os';
import { type Config, hostNameSchema } from '../config/config-file.js';
import { type ClusterHost, hostAddressSchema, renderHosts } from '../config/hosts-file.js';
import { readHosts } from '../config/read-config.js';
import { readDurable, writeDurable } from '../durable-file.js';
import type { CertifiedKey } from '../pki/authority.js';
import { pkiError } from '../pki/errors.js';
import { type PkiFiles, pkiFiles } from '../pki/files.js';
import { clusterError } from './errors.js';

export function ownName(config: Config): string {
  return config.host ?? hostname().split('.')[0]?.toLowerCase() ?? 'localhost';
}

/** @throws PKI_NO_AUTHORITY when the CA was not made on this host */
export async function readAuthority(directory: string): Promise<CertifiedKey> {
  const { ca, caKey } = pkiFiles(directory);
  const [certificate, key] = await Promise.all([readDurable(ca), readDurable(caKey)]);
  if (certificate === undefined || key === undefined) {
    const missing = certificate === undefined ? ca : caKey;
    throw pkiError('PKI_NO_AUTHORITY', `there is no ${missing}`);
  }
  return { certificate, key };
}

/** The key first: a certificate whose key is not there yet would be worse than the old pair. */
export async function writeCertificate(
  { ca, certificate, key }: PkiFiles,
  authority: Pick<CertifiedKey, 'certificate'>,
  issued: CertifiedKey,
): Promise<void> {
  await writeDurable(ca, authority.certificate);
  await writeDurable(key, issued.key);
  await writeDurable(certificate, issued.certificate);
}

export async function hostsOf(config: Config): Promise<ClusterHost[]> {
  return (await readHosts(config.hosts)) ?? [];
}

export function writeHosts(config: Config, hosts: readonly ClusterHost[]): Promise<void> {
  return writeDurable(config.hosts, renderHosts(hosts));
}

/** @throws HOST_NAME_INVALID */
export function checkedHost(host: ClusterHost): ClusterHost {
  if (!hostNameSchema.safeParse(host.name).success) {
    throw clusterError('HOST_NAME_INVALID', `"${host.name}" cannot be the name of a host`);
  }
  for (const address of host.addresses) {
    if (!hostAddressSchema.safeParse(address).success) {
      throw clusterError('HOST_NAME_INVALID', `"${address}" cannot be an address of a host`);
    }
  }
  return host;
}

/** The list with `host` in it, in the place of the one of the same name. @throws HOST_EXISTS, HOST_NAME_INVALID */
export function withHost(hosts: readonly ClusterHost[], host: ClusterHost): ClusterHost[] {
  checkedHost(host);
  const taken = hosts.find(
    ({ name, addresses }) =>
      name !== host.name && addresses.some((address) => host.addresses.includes(address)),
  );
  if (taken !== undefined) {
    const message = `host ${taken.name} has one of the addresses ${host.addresses.join(', ')}`;
    throw clusterError('HOST_EXISTS', message);
  }
  const known = hosts.some(({ name }) => name === host.name);
  return known ? hosts.map((other) => (other.name === host.name ? host : other)) : [...hosts, host];
}
