/** A CA and hosts of it, as values and as the directories that hosts have. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ClusterHost, renderHosts } from '../../../src/config/hosts-file.js';
import { writeDurable } from '../../../src/durable-file.js';
import {
  type CertifiedKey,
  issueCertificate,
  makeAuthority,
  type Validity,
} from '../../../src/pki/authority.js';
import { type PkiFiles, pkiFiles } from '../../../src/pki/files.js';

export const DAY_MS = 86_400_000;

export function validFor(fromDays: number, toDays: number): Validity {
  const nowMs = Date.now();
  return {
    notBefore: new Date(nowMs + fromDays * DAY_MS),
    notAfter: new Date(nowMs + toDays * DAY_MS),
  };
}

export interface HostFiles {
  pki: string;
  hosts: string;
  files: PkiFiles;
}

const made: string[] = [];

/** The files of one host; without `hosts` there is no hosts.yaml. */
export async function hostFiles(
  authority: CertifiedKey,
  own: CertifiedKey,
  hosts?: readonly ClusterHost[],
): Promise<HostFiles> {
  const directory = await mkdtemp(join(tmpdir(), 'understudy-pki-'));
  made.push(directory);
  const files = pkiFiles(join(directory, 'pki'));
  await writeDurable(files.ca, authority.certificate);
  await writeDurable(files.certificate, own.certificate);
  await writeDurable(files.key, own.key);
  const hostsFile = join(directory, 'hosts.yaml');
  if (hosts !== undefined) await writeDurable(hostsFile, renderHosts(hosts));
  return { pki: join(directory, 'pki'), hosts: hostsFile, files };
}

/** Called `name`, reached on the loopback address. */
export async function loopbackHost(
  authority: CertifiedKey,
  name: string,
  { hosts, validity }: { hosts?: readonly ClusterHost[]; validity?: Validity } = {},
): Promise<HostFiles> {
  const subject = { name, addresses: ['127.0.0.1'] };
  return hostFiles(authority, await issueCertificate(authority, subject, validity), hosts);
}

export { issueCertificate, makeAuthority };

/** For `afterAll`. */
export async function removeHostFiles(): Promise<void> {
  await Promise.all(made.splice(0).map((path) => rm(path, { recursive: true, force: true })));
}
