import { describe, expect, it } from 'vitest';
import {
  bridgeTapOf,
  readTapOf,
  requireInterfaceName,
} from '../../../src/netbuffer/interface-names.js';

describe('interface names', () => {
  it('derives short names from the tap, and keeps long ones apart', () => {
    expect([readTapOf('vnet0'), bridgeTapOf('vnet0')]).toEqual(['usr-vnet0', 'usb-vnet0']);
    const long = ['tap-customer-01', 'tap-customer-02'].map(readTapOf);
    expect(new Set(long).size).toBe(2);
    for (const name of long) expect(name.length).toBeLessThanOrEqual(15);
  });

  it.each([
    '',
    'a'.repeat(16),
    '-rf',
    'a b',
    'a\nlink del b',
    'x;y',
    '..',
    'a/b',
  ])('refuses %j', (name) => {
    expect(() => requireInterfaceName(name)).toThrow(
      expect.objectContaining({ code: 'HOLD_BAD_NAME' }),
    );
  });
});
