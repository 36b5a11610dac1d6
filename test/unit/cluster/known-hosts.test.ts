import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  fingerprint,
  isAmong,
  knownHostLine,
  knownKeys,
} from '../../../src/cluster/known-hosts.js';

/** A key as it travels: its type with its length, then what differs. */
function keyOf(type: string, content: string): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(type.length);
  return Buffer.concat([length, Buffer.from(type), Buffer.from(content)]);
}

const KEY = keyOf('ssh-ed25519', 'one');
const OTHER = keyOf('ssh-rsa', 'two');
const line = (names: string, key = KEY) => `${names} ssh-ed25519 ${key.toString('base64')}\n`;

describe('known_hosts', () => {
  it('knows a host by the line that was written for it', () => {
    for (const port of [22, 2222]) {
      const text = `# hosts\n\n${knownHostLine('10.0.0.2', port, KEY)}`;
      expect(knownKeys(text, '10.0.0.2', port)).toEqual({
        types: ['ssh-ed25519'],
        keys: [KEY],
        revoked: [],
      });
      expect(knownKeys(text, '10.0.0.3', port).keys).toEqual([]);
      expect(knownKeys(text, '10.0.0.2', port + 1).keys).toEqual([]);
    }
    expect(knownHostLine('h', 22, OTHER)).toMatch(/^h ssh-rsa /);
  });

  it('reads lists, patterns, exceptions and hashed names', () => {
    expect(knownKeys(line('a,B.example,10.0.0.2'), 'b.example', 22).keys).toEqual([KEY]);
    expect(knownKeys(line('*.example,!b.example'), 'a.example', 22).keys).toEqual([KEY]);
    expect(knownKeys(line('*.example,!b.example'), 'b.example', 22).keys).toEqual([]);
    expect(knownKeys(line('10.0.0.?'), '10.0.0.25', 22).keys).toEqual([]);
    const salt = Buffer.from('salt of twenty bytes');
    const mac = createHmac('sha1', salt).update('[h]:2222').digest('base64');
    const hashed = line(`|1|${salt.toString('base64')}|${mac}`);
    expect(knownKeys(hashed, 'h', 2222).keys).toEqual([KEY]);
    expect(knownKeys(hashed, 'h', 22).keys).toEqual([]);
  });

  it('keeps revoked keys apart, and does not take a CA for a host', () => {
    const text = `@revoked ${line('h')}@cert-authority ${line('h', OTHER)}`;
    expect(knownKeys(text, 'h', 22)).toEqual({ types: [], keys: [], revoked: [KEY] });
  });

  it('compares whole keys', () => {
    expect(isAmong(KEY, [OTHER, KEY])).toBe(true);
    expect(isAmong(KEY, [OTHER])).toBe(false);
    expect(isAmong(KEY.subarray(1), [KEY])).toBe(false);
  });

  it('prints a fingerprint as ssh does', () => {
    expect(fingerprint(Buffer.from(''))).toBe('SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU');
  });
});
