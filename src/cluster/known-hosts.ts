/** known_hosts as sshd(8) describes it: which keys a host is known by, and one more line. Pure. */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

export interface KnownKeys {
  /** Algorithm names, as in the file ("ssh-ed25519"). */
  types: string[];
  keys: Buffer[];
  revoked: Buffer[];
}

/** The name of a host in known_hosts: other ports than 22 are part of it. */
export function knownHostName(host: string, port: number): string {
  return port === 22 ? host : `[${host}]:${port}`;
}

export function knownKeys(text: string, host: string, port: number): KnownKeys {
  const name = knownHostName(host, port).toLowerCase();
  const found: KnownKeys = { types: [], keys: [], revoked: [] };
  for (const line of text.split('\n')) {
    const words = line.trim().split(/\s+/);
    const marker = words[0]?.startsWith('@') ? words.shift() : undefined;
    const [names, type, key] = words;
    if (names === undefined || type === undefined || key === undefined) continue;
    if (names.startsWith('#') || !covers(names, name)) continue;
    const bytes = Buffer.from(key, 'base64');
    if (marker === '@revoked') found.revoked.push(bytes);
    else if (marker === undefined) {
      found.types.push(type);
      found.keys.push(bytes);
    }
  }
  return found;
}

/** A line for a key, which names its own type in its first bytes (RFC 4253, 6.6). */
export function knownHostLine(host: string, port: number, key: Buffer): string {
  const type = key.subarray(4, 4 + key.readUInt32BE(0)).toString('latin1');
  return `${knownHostName(host, port)} ${type} ${key.toString('base64')}\n`;
}

/** As `ssh-keygen -l` prints it. */
export function fingerprint(key: Buffer): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;
}

export function isAmong(key: Buffer, keys: readonly Buffer[]): boolean {
  return keys.some((known) => known.length === key.length && timingSafeEqual(known, key));
}

/** Whether the first field of a line, patterns or a hash, is for the host. */
function covers(names: string, name: string): boolean {
  const hashed = /^\|1\|([^|]+)\|([^|]+)$/.exec(names);
  if (hashed !== null) {
    const [, salt = '', hash = ''] = hashed;
    const mac = createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest('base64');
    return mac === hash;
  }
  const patterns = names.toLowerCase().split(',');
  const matches = (pattern: string): boolean => asExpression(pattern).test(name);
  if (patterns.some((pattern) => pattern.startsWith('!') && matches(pattern.slice(1)))) {
    return false;
  }
  return patterns.some((pattern) => !pattern.startsWith('!') && matches(pattern));
}

function asExpression(pattern: string): RegExp {
  const escaped = pattern.replace(/[.+^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${escaped.replaceAll('*', '.*').replaceAll('?', '.')}$`);
}
