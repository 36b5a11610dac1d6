/** What can be wrong with this host's own certificates. Of the peer's, the codes begin with WIRE_. */
import { errorsOf } from '../errors.js';

export const pkiErrors = {
  PKI_MISSING: {
    meaning: 'This host has no certificate, so it can neither call other hosts nor be called.',
    remedy:
      'Run `understudy host init` on the first host of a cluster, and `understudy host add` there for each other.',
  },
  PKI_UNREADABLE: {
    meaning: 'A certificate or key of this host cannot be read, or is not what its name says.',
    remedy: 'Restore the file, or issue a new certificate with `understudy host add`.',
  },
  PKI_EXPIRED: {
    meaning: 'This host’s certificate or its CA is not valid any more, or not yet.',
    remedy:
      'Check this host’s clock; renew the certificate with `understudy host add` on the host that has the CA.',
  },
  PKI_WRONG_CA: {
    meaning: 'This host’s certificate was not issued by the CA that lies beside it.',
    remedy: 'Run `understudy host add` for this host again, on the host that has the CA.',
  },
  PKI_KEY_MISMATCH: {
    meaning: 'This host’s private key does not belong to its certificate.',
    remedy: 'Run `understudy host add` for this host again, on the host that has the CA.',
  },
  PKI_NO_AUTHORITY: {
    meaning: 'Certificates can only be issued where the CA’s key is, and it is not on this host.',
    remedy:
      'Run the command on the host where `understudy host init` was run, or make a CA here with it.',
  },
  PKI_EXISTS: {
    meaning: 'There are certificates already; a new CA would cut this host off from its cluster.',
    remedy:
      'Use `understudy host list` to see the cluster. To begin anew, move the pki directory away first.',
  },
} as const;

export const pkiError = errorsOf(pkiErrors);
