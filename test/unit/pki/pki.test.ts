import { X509Certificate } from 'node:crypto';
import { rm, stat, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ClusterHost } from '../../../src/config/hosts-file.js';
import { writeDurable } from '../../../src/durable-file.js';
import type { CertifiedKey } from '../../../src/pki/authority.js';
import { identifyHost } from '../../../src/pki/cluster-trust.js';
import { expiryOf, HostCredentials } from '../../../src/pki/credentials.js';
import { CA_VALID_DAYS, HOST_VALID_DAYS } from '../../../src/pki/limits.js';
import {
  DAY_MS,
  hostFiles,
  issueCertificate,
  loopbackHost,
  makeAuthority,
  removeHostFiles,
  validFor,
} from './cluster.js';

let authority: CertifiedKey;
let other: CertifiedKey;
beforeAll(async () => {
  [authority, other] = await Promise.all([makeAuthority(), makeAuthority()]);
});
afterAll(removeHostFiles);

const coded = (code: string) =>
  expect.objectContaining({ code, remedy: expect.stringMatching(/\S/) });

describe('a certificate', () => {
  it('names its host and its addresses, and holds for as long as it should', async () => {
    const subject = { name: 'b', addresses: ['10.87.1.2', 'fd87::2', 'b.example.org'] };
    const issued = await issueCertificate(authority, subject);
    const certificate = new X509Certificate(issued.certificate);
    expect(certificate.checkHost('b', { subject: 'never' })).toBe('b');
    expect(certificate.checkHost('b.example.org', { subject: 'never' })).toBe('b.example.org');
    expect(certificate.checkIP('10.87.1.2')).toBe('10.87.1.2');
    expect(certificate.checkIP('fd87::2')).toBe('fd87::2');
    expect(certificate.checkIP('10.87.1.3')).toBeUndefined();
    expect(certificate.ca).toBe(false);
    expect(certificate.publicKey.asymmetricKeyDetails?.namedCurve).toBe('prime256v1');
    const days = (Date.parse(certificate.validTo) - Date.now()) / DAY_MS;
    expect(days).toBeGreaterThan(HOST_VALID_DAYS - 1);
    expect(days).toBeLessThan(HOST_VALID_DAYS + 1);
    const ca = new X509Certificate(authority.certificate);
    expect(certificate.verify(ca.publicKey)).toBe(true);
    expect(ca.ca).toBe(true);
    expect((Date.parse(ca.validTo) - Date.now()) / DAY_MS).toBeGreaterThan(CA_VALID_DAYS - 1);
  });

  it('has a serial number of its own', async () => {
    const twice = [1, 2].map(() => issueCertificate(authority, { name: 'b', addresses: [] }));
    const [one, two] = await Promise.all(twice);
    const serial = (issued: CertifiedKey | undefined) =>
      new X509Certificate(issued?.certificate ?? '').serialNumber;
    expect(serial(one)).toMatch(/^[0-9A-F]{32}$/);
    expect(serial(one)).not.toBe(serial(two));
  });

  it('is not issued without the CA’s key', async () => {
    const powerless = { certificate: authority.certificate, key: 'none' };
    await expect(issueCertificate(powerless, { name: 'b', addresses: [] })).rejects.toEqual(
      coded('PKI_NO_AUTHORITY'),
    );
  });
});

describe('credentials of this host', () => {
  it('are read, and again when they were renewed', async () => {
    const { files } = await loopbackHost(authority, 'a');
    const credentials = new HostCredentials(files);
    const before = await credentials.read();
    expect(expiryOf(before).getTime()).toBe(
      Date.parse(new X509Certificate(before.certificate).validTo),
    );
    const renewed = await issueCertificate(authority, { name: 'a', addresses: [] });
    await writeDurable(files.key, renewed.key);
    await writeDurable(files.certificate, renewed.certificate);
    expect((await credentials.read()).certificate).toBe(renewed.certificate);
  });

  it('keep their key to root', async () => {
    const { files } = await loopbackHost(authority, 'a');
    expect((await stat(files.key)).mode & 0o777).toBe(0o600);
  });

  it('are refused when a file is not there or is something else', async () => {
    const { files } = await loopbackHost(authority, 'a');
    await writeFile(files.certificate, 'hello');
    await expect(new HostCredentials(files).read()).rejects.toEqual(coded('PKI_UNREADABLE'));
    await rm(files.key);
    await expect(new HostCredentials(files).read()).rejects.toEqual(coded('PKI_MISSING'));
  });

  it('are refused when the certificate is of another CA or of another key', async () => {
    const own = await issueCertificate(authority, { name: 'a', addresses: [] });
    const foreign = await hostFiles(other, own);
    await expect(new HostCredentials(foreign.files).read()).rejects.toEqual(coded('PKI_WRONG_CA'));
    const mixed = await hostFiles(authority, { ...own, key: other.key });
    await expect(new HostCredentials(mixed.files).read()).rejects.toEqual(
      coded('PKI_KEY_MISMATCH'),
    );
  });

  it('are refused when they expired, or do not hold yet', async () => {
    for (const validity of [validFor(-2, -1), validFor(1, 2)]) {
      const { files } = await loopbackHost(authority, 'a', { validity });
      await expect(new HostCredentials(files).read()).rejects.toEqual(coded('PKI_EXPIRED'));
    }
    const { files } = await loopbackHost(authority, 'a', { validity: validFor(-1, 1) });
    const credentials = new HostCredentials(files);
    await credentials.read();
    const later = new Date(Date.now() + 2 * DAY_MS);
    await expect(credentials.read(later)).rejects.toEqual(coded('PKI_EXPIRED'));
  });
});

describe('who a certificate is of', () => {
  const hosts: ClusterHost[] = [
    { name: 'a', addresses: ['10.0.0.1'], port: 7788 },
    { name: 'b', addresses: ['10.0.0.2', '192.168.1.2'], port: 7788 },
  ];
  let ofB: X509Certificate;
  beforeAll(async () => {
    const issued = await issueCertificate(authority, { name: 'b', addresses: ['10.0.0.2'] });
    ofB = new X509Certificate(issued.certificate);
  });

  it('is the host of that name in hosts.yaml, on each of its addresses', () => {
    expect(identifyHost(hosts, ofB)).toBe('b');
    // Not in the certificate: hosts.yaml says whose it is.
    expect(identifyHost(hosts, ofB, '192.168.1.2')).toBe('b');
    expect(identifyHost(hosts, ofB, 'b')).toBe('b');
  });

  it('is nobody whom hosts.yaml does not have, or who was removed', () => {
    expect(() => identifyHost([], ofB)).toThrow(coded('WIRE_UNKNOWN_HOST'));
    expect(() => identifyHost(hosts.slice(0, 1), ofB)).toThrow(coded('WIRE_UNKNOWN_HOST'));
  });

  it('is not another host that was called', () => {
    expect(() => identifyHost(hosts, ofB, '10.0.0.1')).toThrow(coded('WIRE_UNKNOWN_HOST'));
    expect(() => identifyHost(hosts, ofB, 'a')).toThrow(coded('WIRE_UNKNOWN_HOST'));
    expect(() => identifyHost(hosts, ofB, '10.0.0.9')).toThrow(coded('WIRE_UNKNOWN_HOST'));
  });

  it('is whom the CA says where there is no hosts.yaml, on an address of the certificate', () => {
    expect(identifyHost(undefined, ofB)).toBe('b');
    expect(identifyHost(undefined, ofB, '10.0.0.2')).toBe('b');
    expect(() => identifyHost(undefined, ofB, '10.0.0.3')).toThrow(coded('WIRE_UNKNOWN_HOST'));
  });
});
