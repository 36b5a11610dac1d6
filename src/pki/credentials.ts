/**
 * This host's certificate, key and CA: read from the pki directory and checked before they are used, so that
 * what is wrong is said here, with a remedy, and not by the other host's TLS.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { messageOf } from '../errors.js';
import type { Credentials } from '../wire/trust.js';
import { pkiError } from './errors.js';
import type { PkiFiles } from './files.js';

/** Read again when a file changed: a renewed certificate needs no restart. */
export class HostCredentials {
  #version = '';
  #credentials: Credentials | undefined;

  constructor(readonly files: PkiFiles) {}

  /** Checked at every call: a certificate expires while the agent runs. @throws PKI_… */
  async read(now: Date = new Date()): Promise<Credentials> {
    const version = await versionOf(this.files);
    if (this.#credentials === undefined || version !== this.#version) {
      this.#credentials = await load(this.files);
      this.#version = version;
    }
    checkCredentials(this.#credentials, this.files, now);
    return this.#credentials;
  }
}

/** @throws PKI_UNREADABLE, PKI_KEY_MISMATCH, PKI_WRONG_CA, PKI_EXPIRED */
export function checkCredentials(credentials: Credentials, files: PkiFiles, now: Date): void {
  const ca = parseCertificate(credentials.ca, files.ca);
  const certificate = parseCertificate(credentials.certificate, files.certificate);
  if (!certificate.checkPrivateKey(parseKey(credentials.key, files.key))) {
    throw pkiError('PKI_KEY_MISMATCH', `${files.key} is not the key of ${files.certificate}`);
  }
  if (!certificate.checkIssued(ca) || !certificate.verify(ca.publicKey)) {
    throw pkiError('PKI_WRONG_CA', `${files.certificate} was not issued by ${files.ca}`);
  }
  requireValid(ca, files.ca, now);
  requireValid(certificate, files.certificate, now);
}

/** The earlier of the two ends: this host's certificate and its CA. */
export function expiryOf({ ca, certificate }: Credentials): Date {
  const ends = [ca, certificate].map((pem) => Date.parse(new X509Certificate(pem).validTo));
  return new Date(Math.min(...ends));
}

function requireValid(certificate: X509Certificate, path: string, now: Date): void {
  const { validFrom, validTo } = certificate;
  if (now.getTime() < Date.parse(validFrom) || now.getTime() > Date.parse(validTo)) {
    const message = `${path} is valid from ${validFrom} to ${validTo}; it is ${now.toISOString()}`;
    throw pkiError('PKI_EXPIRED', message);
  }
}

function parseCertificate(pem: string, path: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    throw pkiError('PKI_UNREADABLE', `${path} is not a certificate`, { cause });
  }
}

function parseKey(pem: string, path: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    throw pkiError('PKI_UNREADABLE', `${path} is not a private key`, { cause });
  }
}

async function load({ ca, certificate, key }: PkiFiles): Promise<Credentials> {
  const [caPem, certificatePem, keyPem] = await Promise.all([ca, certificate, key].map(readPem));
  return { ca: caPem ?? '', certificate: certificatePem ?? '', key: keyPem ?? '' };
}

async function readPem(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw missing(path, cause);
  }
}

async function versionOf({ ca, certificate, key }: PkiFiles): Promise<string> {
  const stamps = await Promise.all(
    [ca, certificate, key].map(async (path) => {
      try {
        const { mtimeNs, ino, size } = await stat(path, { bigint: true });
        return `${mtimeNs} ${ino} ${size}`;
      } catch (cause) {
        throw missing(path, cause);
      }
    }),
  );
  return stamps.join('\n');
}

function missing(path: string, cause: unknown): Error {
  if ((cause as NodeJS.ErrnoException).code === 'ENOENT') {
    return pkiError('PKI_MISSING', `there is no ${path}`, { cause });
  }
  return pkiError('PKI_UNREADABLE', `${path}: ${messageOf(cause)}`, { cause });
}
