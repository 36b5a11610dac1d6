/**
 * Who is let in: the wire asks, `src/pki` and `src/config` know. A connection between hosts is TLS 1.3 with
 * a certificate of the cluster's own CA on both ends; it is judged before a byte of a frame is read.
 */
import type { X509Certificate } from 'node:crypto';
import type { UnderstudyError } from '../errors.js';
import { wireError } from './errors.js';

/** PEM: what this host shows, and whom it believes. */
export interface Credentials {
  ca: string;
  certificate: string;
  key: string;
}

export interface PeerTrust {
  /** As they are on disk now. @throws what is wrong with them, with a remedy */
  credentials(): Promise<Credentials>;
  /**
   * The host that a certificate of our CA belongs to; `calling` is the address that was called.
   * @throws WIRE_UNKNOWN_HOST
   */
  identify(certificate: X509Certificate, calling?: string): Promise<string>;
}

/** OpenSSL's verdicts on dates; every other verdict means that the certificate is not of our CA. */
const DATE_VERDICTS = new Set(['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID']);

/** Why the peer's certificate is refused whatever it names; `verdict` is OpenSSL's, undefined if content. */
export function refusalOfCertificate(
  peer: string,
  certificate: X509Certificate | undefined,
  verdict: string | undefined,
): UnderstudyError | undefined {
  if (certificate === undefined) {
    return wireError('WIRE_NO_CERTIFICATE', `${peer} shows no certificate`);
  }
  if (verdict === undefined) return undefined;
  const { subject, validFrom, validTo } = certificate;
  const name = subject.replaceAll('\n', ', ');
  if (DATE_VERDICTS.has(verdict)) {
    const dates = `is valid from ${validFrom} to ${validTo}; here it is ${new Date().toISOString()}`;
    return wireError('WIRE_CERTIFICATE_EXPIRED', `${peer}: the certificate of ${name} ${dates}`);
  }
  const message = `${peer}: the certificate of ${name} is not of this cluster’s CA (${verdict})`;
  return wireError('WIRE_FOREIGN_CA', message);
}

/** OpenSSL's reasons that mean: what came was no TLS at all. */
const NOT_TLS =
  /WRONG_VERSION_NUMBER|HTTP_REQUEST|HTTPS_PROXY_REQUEST|PACKET_LENGTH_TOO_LONG|RECORD_TOO_SMALL|UNEXPECTED_MESSAGE|BAD_RECORD_TYPE|NOT_SSL/;

/** Why a handshake ended without a connection. */
export function handshakeError(peer: string, cause: Error): UnderstudyError {
  const reason = 'code' in cause && typeof cause.code === 'string' ? cause.code : '';
  if (NOT_TLS.test(reason)) {
    return wireError('WIRE_NOT_TLS', `${peer} does not speak TLS`, { cause });
  }
  return wireError('WIRE_HANDSHAKE_FAILED', `${peer}: ${cause.message}`, { cause });
}
