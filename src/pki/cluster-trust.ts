/**
 * Who belongs to the cluster: whoever has a certificate of its CA and stands in hosts.yaml. That list is how a
 * host is removed, as there is no other way to take a certificate back. Where there is no hosts.yaml at all (a
 * pair set up by hand, called by address) the CA alone decides.
 */
import type { X509Certificate } from 'node:crypto';
import { type ClusterHost, findHost } from '../config/hosts-file.js';
import { HostsFile } from '../config/read-config.js';
import { wireError } from '../wire/errors.js';
import type { Credentials, PeerTrust } from '../wire/trust.js';
import { covers } from './covers.js';
import { HostCredentials } from './credentials.js';
import { pkiFiles } from './files.js';

export class ClusterTrust implements PeerTrust {
  readonly #credentials: HostCredentials;
  readonly #hosts: HostsFile;

  constructor(paths: { pki: string; hosts: string }) {
    this.#credentials = new HostCredentials(pkiFiles(paths.pki));
    this.#hosts = new HostsFile(paths.hosts);
  }

  credentials(): Promise<Credentials> {
    return this.#credentials.read();
  }

  hosts(): Promise<readonly ClusterHost[] | undefined> {
    return this.#hosts.read();
  }

  async identify(certificate: X509Certificate, calling?: string): Promise<string> {
    return identifyHost(await this.#hosts.read(), certificate, calling);
  }
}

/**
 * The name of the host that the certificate is of. When `calling` is an address in hosts.yaml it must be that
 * host's; any other address must be in the certificate.
 * @throws WIRE_UNKNOWN_HOST
 */
export function identifyHost(
  hosts: readonly ClusterHost[] | undefined,
  certificate: X509Certificate,
  calling?: string,
): string {
  const shown = certificate.subjectAltName ?? certificate.subject;
  const member = hosts?.find(({ name }) => covers(certificate, name));
  if (hosts !== undefined && member === undefined) {
    throw wireError('WIRE_UNKNOWN_HOST', `no host in hosts.yaml has a certificate for ${shown}`);
  }
  if (calling !== undefined) {
    const expected = hosts === undefined ? undefined : findHost(hosts, calling);
    const right = expected === undefined ? covers(certificate, calling) : expected === member;
    if (!right) {
      const wanted = expected === undefined ? '' : ` (${expected.name})`;
      const message = `called ${calling}${wanted}, and the answer came with a certificate for ${shown}`;
      throw wireError('WIRE_UNKNOWN_HOST', message);
    }
  }
  return member?.name ?? commonName(certificate);
}

function commonName({ subject }: X509Certificate): string {
  return /^CN=(.+)$/m.exec(subject)?.[1] ?? subject;
}
