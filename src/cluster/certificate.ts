/** A certificate for one host, into a directory: for those who bring it there by other means (Ansible). */
import { X509Certificate } from 'node:crypto';
import { UnderstudyError } from '../errors.js';
import { issueCertificate } from '../pki/authority.js';
import { covers } from '../pki/covers.js';
import { expiryOf, HostCredentials } from '../pki/credentials.js';
import { pkiFiles } from '../pki/files.js';
import { EXPIRY_WARNING_DAYS } from '../pki/limits.js';
import { checkedHost, readAuthority, writeCertificate } from './files.js';

const DAY_MS = 86_400_000;

export interface IssueRequest {
  name: string;
  addresses: readonly string[];
  /** Directory to write ca.crt, host.crt and host.key into. */
  out: string;
}

export interface Issued {
  /** False when what was there is right and holds for long enough. */
  changed: boolean;
  expires: Date;
}

/** @throws PKI_NO_AUTHORITY, HOST_NAME_INVALID */
export async function issueInto(pkiDir: string, request: IssueRequest): Promise<Issued> {
  const { name, addresses, out } = request;
  checkedHost({ name, addresses: [...addresses], port: 1 });
  const authority = await readAuthority(pkiDir);
  const present = await presentExpiry(authority.certificate, request);
  if (present !== undefined) return { changed: false, expires: present };
  const issued = await issueCertificate(authority, { name, addresses });
  await writeCertificate(pkiFiles(out), authority, issued);
  const expires = expiryOf({ ca: authority.certificate, ...issued });
  return { changed: true, expires };
}

/** Undefined when a new one is due: another CA, other names, soon over, damaged or not there. */
async function presentExpiry(
  ca: string,
  { name, addresses, out }: IssueRequest,
): Promise<Date | undefined> {
  try {
    const credentials = await new HostCredentials(pkiFiles(out)).read();
    const expires = expiryOf(credentials);
    const soon = expires.getTime() - Date.now() < EXPIRY_WARNING_DAYS * DAY_MS;
    if (credentials.ca !== ca || soon) return undefined;
    const certificate = new X509Certificate(credentials.certificate);
    const covered = [name, ...addresses].every((word) => covers(certificate, word));
    return covered ? expires : undefined;
  } catch (error) {
    if (error instanceof UnderstudyError) return undefined;
    throw error;
  }
}
