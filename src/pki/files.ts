/** The names in a pki directory. Pure. */

export interface PkiFiles {
  ca: string;
  certificate: string;
  key: string;
  /** Only where the CA was made. */
  caKey: string;
}

export function pkiFiles(directory: string): PkiFiles {
  return {
    ca: `${directory}/ca.crt`,
    certificate: `${directory}/host.crt`,
    key: `${directory}/host.key`,
    caKey: `${directory}/ca.key`,
  };
}
