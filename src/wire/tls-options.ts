/** What both ends of a TLS connection have in common. */
import { constants } from 'node:crypto';
import type { SecureContextOptions } from 'node:tls';
import type { Credentials } from './trust.js';

/**
 * AES-128 comes first: with the processor's AES it is the fastest of TLS 1.3's ciphers, and as much is at
 * stake as fits into one connection. ChaCha20 is there for processors without.
 */
const CIPHERS = 'TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384';

export function tlsOptions({ ca, certificate, key }: Credentials): SecureContextOptions {
  return {
    ca,
    cert: certificate,
    key,
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    ciphers: CIPHERS,
    // Every connection shows its certificate anew: none is resumed after a host was removed.
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
}
