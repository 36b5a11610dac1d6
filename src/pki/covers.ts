import type { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';

/** Whether a certificate is for an address or a name (its alternative names alone count, without wildcards). */
export function covers(certificate: X509Certificate, called: string): boolean {
  if (isIP(called) !== 0) return certificate.checkIP(called) !== undefined;
  const options = { subject: 'never', wildcards: false } as const;
  return certificate.checkHost(called, options) !== undefined;
}
