import { describe, expect, it } from 'vitest';
import {
  backupNamed,
  requireKnown,
  withDefaults,
} from '../../../src/agent/control/protect-defaults.js';

const hosts = [
  { name: 'a', addresses: ['10.0.0.1'], port: 7788 },
  { name: 'b', addresses: ['10.0.0.2', '192.168.1.2'], port: 7790 },
];
const files = { hosts, heartbeat: { intervalMs: 40, missedMax: 6 } };

describe('what hosts.yaml and the configuration add to a request', () => {
  it('a host’s name stands for its agent, and all of its addresses hear heartbeats', () => {
    expect(withDefaults({ backup: { host: 'b', port: 7788 } }, files)).toEqual({
      backup: { host: '10.0.0.2', port: 7790 },
      heartbeatHosts: ['10.0.0.2', '192.168.1.2'],
      heartbeat: { intervalMs: 40, missedMax: 6 },
    });
  });

  it('what is given goes before it', () => {
    const body = {
      backup: { host: 'b', port: 1 },
      heartbeatHosts: ['10.0.0.2'],
      heartbeat: { missedMax: 9 },
    };
    expect(withDefaults(body, files)).toMatchObject({
      heartbeatHosts: ['10.0.0.2'],
      heartbeat: { intervalMs: 40, missedMax: 9 },
    });
  });

  it('an address stays as it is, and so does what has the wrong shape', () => {
    const byAddress = { backup: { host: '192.168.1.2', port: 99 } };
    expect(withDefaults(byAddress, files)).toMatchObject(byAddress);
    expect(withDefaults({ backup: 7, heartbeat: 'no' }, files)).toEqual({
      backup: 7,
      heartbeat: 'no',
    });
    expect(backupNamed(undefined, { host: 'b' })).toBeUndefined();
  });
});

describe('a backup’s name', () => {
  it.each(['b', 'B', '10.0.0.1', '10.0.0.9', 'fd87::2'])('may be %s', (host) => {
    expect(() => requireKnown(hosts, { host })).not.toThrow();
  });

  it('is a mistake when hosts.yaml does not have it', () => {
    expect(() => requireKnown(hosts, { host: 'c' })).toThrow(
      expect.objectContaining({ code: 'HOST_UNKNOWN', message: expect.stringMatching(/ a, b$/) }),
    );
  });

  it('may be any where there is no hosts.yaml', () => {
    expect(() => requireKnown(undefined, { host: 'c' })).not.toThrow();
  });
});
