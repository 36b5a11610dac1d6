import { describe, expect, it } from 'vitest';
import {
  decodePortRecord,
  encodePortRecord,
  type PortRecord,
} from '../../../src/netbuffer/port-record.js';

const plain: PortRecord = { bridge: 'br0', ownsQdisc: true, settings: {}, vlans: [], alias: '' };

describe('port record', () => {
  it.each<[string, PortRecord]>([
    ['a plain port', plain],
    [
      'everything changed',
      {
        bridge: 'br-lan.7',
        ownsQdisc: false,
        settings: { isolated: 'on', learning: 'off', mcast_router: '2' },
        vlans: ['1.p.u', '20-30', '40.u'],
        alias: 'rack 7; port=3, "ü"',
      },
    ],
  ])('comes back as it was: %s', (_, record) => {
    expect(decodePortRecord(encodePortRecord(record))).toEqual(record);
  });

  it("leaves somebody else's alias alone", () => {
    for (const alias of ['', 'uplink', 'understudy:2;bridge=br0', 'understudy:1;qdisc=own']) {
      expect(decodePortRecord(alias)).toBeUndefined();
    }
  });

  it('refuses what the kernel could not keep', () => {
    const vlans = Array.from({ length: 100 }, (_, index) => String(2 * index + 1));
    expect(() => encodePortRecord({ ...plain, vlans })).toThrow(
      expect.objectContaining({ code: 'HOLD_RECORD_TOO_LONG' }),
    );
  });
});
