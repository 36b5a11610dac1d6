/**
 * The cluster's CA and the certificates that it issues: EC P-256, one CA, no intermediates. Only commands that
 * issue something load this file; agents and sessions only check.
 */
import 'reflect-metadata';
import { randomBytes, webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import * as x509 from '@peculiar/x509';
import { pkiError } from './errors.js';
import { CA_VALID_DAYS, CLOCK_SLACK_MS, HOST_VALID_DAYS, SERIAL_BYTES } from './limits.js';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY_MS = 86_400_000;

/** PEM. */
export interface CertifiedKey {
  certificate: string;
  key: string;
}

export interface HostSubject {
  /** Its name in the cluster. */
  name: string;
  /** Addresses and DNS names that it is called by. */
  addresses: readonly string[];
}

/** When a certificate holds, for tests: default from now on for as long as limits.ts says. */
export interface Validity {
  notBefore: Date;
  notAfter: Date;
}

/** A new CA; its key is as precious as root on every host of the cluster. */
export async function makeAuthority(
  validity: Validity = validFromNow(CA_VALID_DAYS),
): Promise<CertifiedKey> {
  const keys = await makeKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    // Two clusters' CAs must not look the same.
    name: `CN=understudy CA ${randomBytes(4).toString('hex')}, O=understudy`,
    ...validity,
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return pem(certificate, keys.privateKey);
}

/** A certificate and key for one host. @throws PKI_NO_AUTHORITY when `authority` is not a CA with its key */
export async function issueCertificate(
  authority: CertifiedKey,
  { name, addresses }: HostSubject,
  validity: Validity = validFromNow(HOST_VALID_DAYS),
): Promise<CertifiedKey> {
  const { certificate: issuer, key: signingKey } = await open(authority);
  const keys = await makeKeys();
  const names = [...new Set([name, ...addresses])];
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: `CN=${name}, O=understudy`,
    issuer: issuer.subject,
    ...validity,
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      // Hosts call each other: each is a server and a client.
      new x509.ExtendedKeyUsageExtension([
        x509.ExtendedKeyUsage.serverAuth,
        x509.ExtendedKeyUsage.clientAuth,
      ]),
      new x509.SubjectAlternativeNameExtension(
        names.map((value) => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value })),
      ),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return pem(certificate, keys.privateKey);
}

async function open({
  certificate,
  key,
}: CertifiedKey): Promise<{ certificate: x509.X509Certificate; key: webcrypto.CryptoKey }> {
  try {
    return {
      certificate: new x509.X509Certificate(certificate),
      key: await webcrypto.subtle.importKey(
        'pkcs8',
        x509.PemConverter.decodeFirst(key),
        ALGORITHM,
        false,
        ['sign'],
      ),
    };
  } catch (cause) {
    throw pkiError('PKI_NO_AUTHORITY', 'the CA or its key cannot be read', { cause });
  }
}

function makeKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

async function pem(
  certificate: x509.X509Certificate,
  key: webcrypto.CryptoKey,
): Promise<CertifiedKey> {
  const bytes = await webcrypto.subtle.exportKey('pkcs8', key);
  return {
    certificate: `${certificate.toString('pem')}\n`,
    key: `${x509.PemConverter.encode(bytes, 'PRIVATE KEY')}\n`,
  };
}

function validFromNow(days: number): Validity {
  const nowMs = Date.now();
  return {
    notBefore: new Date(nowMs - CLOCK_SLACK_MS),
    notAfter: new Date(nowMs + days * DAY_MS),
  };
}

function serialNumber(): string {
  const bytes = randomBytes(SERIAL_BYTES);
  // The highest bit would make it negative, a zero byte in front is not canonical (X.690).
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
}
