/** What an operator may ask for, what is filled in, and what is refused by name. */
import { describe, expect, it } from 'vitest';
import { parseEndpoint } from '../../../src/agent/control/endpoint.js';
import { issueOf, protectRequestSchema } from '../../../src/agent/control/protect-request.js';
import { AGENT_PORT_DEFAULT } from '../../../src/agent/limits.js';
import { STAGING_BYTES_DEFAULT } from '../../../src/epoch/limits.js';
import {
  INTERVAL_MS_DEFAULT,
  INTERVAL_MS_MAX,
  INTERVAL_MS_MIN,
  MAX_INTERVAL_MS_DEFAULT,
  MIN_INTERVAL_MS_DEFAULT,
  PAUSE_BUDGET_DEFAULT,
} from '../../../src/epoch/policy.js';
import { HEARTBEAT_DEFAULT } from '../../../src/failover/heartbeat.js';

describe('parseEndpoint', () => {
  const port = AGENT_PORT_DEFAULT;
  it.each([
    ['backup', { host: 'backup', port }],
    ['backup.example.org:7000', { host: 'backup.example.org', port: 7000 }],
    ['10.0.0.2', { host: '10.0.0.2', port }],
    ['10.0.0.2:1', { host: '10.0.0.2', port: 1 }],
    ['10.0.0.2:65535', { host: '10.0.0.2', port: 65_535 }],
    ['[fd00::2]', { host: 'fd00::2', port }],
    ['[fd00::2]:7000', { host: 'fd00::2', port: 7000 }],
    ['[::ffff:10.0.0.2]:7000', { host: '::ffff:10.0.0.2', port: 7000 }],
    ['  backup:7000\n', { host: 'backup', port: 7000 }],
  ])('reads %j', (text, endpoint) => {
    expect(parseEndpoint(text)).toEqual(endpoint);
  });

  it.each([
    '',
    '   ',
    ':7000',
    'backup:',
    'backup:0',
    'backup:65536',
    'backup:100000',
    'backup:-1',
    'backup:7e3',
    'backup:7000:1',
    // Without brackets nobody can tell where the address ends.
    'fd00::2',
    '[fd00::2',
    'fd00::2]:7000',
    '[backup]:7000',
    '[]:7000',
    '[fd00::2]7000',
  ])('refuses %j', (text) => {
    expect(parseEndpoint(text)).toBeUndefined();
  });
});

describe('protectRequestSchema', () => {
  const least = { domain: 'guest', backup: { host: 'backup', port: 7788 } };

  it('fills in every default', () => {
    expect(protectRequestSchema.parse(least)).toEqual({
      ...least,
      heartbeatHosts: ['backup'],
      heartbeat: HEARTBEAT_DEFAULT,
      policy: {
        name: 'adaptive',
        minIntervalMs: MIN_INTERVAL_MS_DEFAULT,
        maxIntervalMs: MAX_INTERVAL_MS_DEFAULT,
        pauseBudget: PAUSE_BUDGET_DEFAULT,
      },
      consistency: 'strong',
      outputHold: 'auto',
      stagingBytes: STAGING_BYTES_DEFAULT,
      recovery: 'automatic',
      faults: [],
    });
  });

  it('keeps what was asked for', () => {
    const asked = {
      ...least,
      heartbeatHosts: ['backup', '10.0.0.2'],
      heartbeat: { intervalMs: 100, missedMax: 3 },
      consistency: 'timeline',
      outputHold: 'holder',
      stagingBytes: 2 * 1024 * 1024,
      recovery: 'manual',
      ownAddresses: ['10.0.0.1'],
      faults: ['a-fault'],
    };
    const policy = { name: 'fixed', intervalMs: INTERVAL_MS_MIN };
    const request = { ...asked, policy: 'fixed', intervalMs: INTERVAL_MS_MIN };
    expect(protectRequestSchema.parse(request)).toEqual({ ...asked, policy });
  });

  it.each([
    [{ intervalMs: 25 }, { name: 'fixed', intervalMs: 25 }],
    [{ policy: 'fixed' }, { name: 'fixed', intervalMs: INTERVAL_MS_DEFAULT }],
    [{ maxIntervalMs: 100 }, { name: 'adaptive', maxIntervalMs: 100 }],
    [{ minIntervalMs: 10 }, { name: 'adaptive', minIntervalMs: 10 }],
    [
      { policy: 'adaptive', pauseBudget: 0.5 },
      { name: 'adaptive', pauseBudget: 0.5 },
    ],
  ])('takes %j as policy %j', (asked, policy) => {
    expect(protectRequestSchema.parse({ ...least, ...asked })).toMatchObject({ policy });
  });

  it.each([
    ['domain', { domain: undefined }],
    ['domain', { domain: '' }],
    ['domain', { domain: 7 }],
    ['domain', { domain: 'x'.repeat(256) }],
    ['backup', { backup: undefined }],
    ['backup', { backup: 'backup:7788' }],
    ['backup.host', { backup: { host: '', port: 7788 } }],
    ['backup.port', { backup: { host: 'backup', port: 0 } }],
    ['backup.port', { backup: { host: 'backup', port: 65_536 } }],
    ['backup.port', { backup: { host: 'backup', port: '7788' } }],
    ['heartbeatHosts', { heartbeatHosts: [] }],
    ['heartbeatHosts', { heartbeatHosts: Array.from({ length: 9 }, () => 'backup') }],
    ['heartbeatHosts.1', { heartbeatHosts: ['backup', ''] }],
    ['heartbeat.intervalMs', { heartbeat: { intervalMs: 9, missedMax: 5 } }],
    ['heartbeat.missedMax', { heartbeat: { intervalMs: 50, missedMax: 1 } }],
    ['heartbeat.missedMax', { heartbeat: { intervalMs: 50 } }],
    ['intervalMs', { intervalMs: INTERVAL_MS_MIN - 1 }],
    ['intervalMs', { intervalMs: INTERVAL_MS_MAX + 1 }],
    ['intervalMs', { intervalMs: Number.NaN }],
    ['intervalMs', { policy: 'adaptive', intervalMs: 50 }],
    ['maxIntervalMs', { policy: 'fixed', maxIntervalMs: 50 }],
    ['pauseBudget', { intervalMs: 50, pauseBudget: 0.5 }],
    ['pauseBudget', { pauseBudget: 0 }],
    ['pauseBudget', { pauseBudget: 1.5 }],
    ['minIntervalMs', { minIntervalMs: -1 }],
    ['minIntervalMs', { minIntervalMs: 300, maxIntervalMs: 200 }],
    ['maxIntervalMs', { maxIntervalMs: INTERVAL_MS_MAX + 1 }],
    ['policy', { policy: 'now and then' }],
    ['consistency', { consistency: 'weak' }],
    ['outputHold', { outputHold: 'none' }],
    ['stagingBytes', { stagingBytes: 1024 }],
    ['stagingBytes', { stagingBytes: 1024 * 1024 + 0.5 }],
    ['stagingBytes', { stagingBytes: 2 ** 40 }],
    ['faults', { faults: 'a-fault' }],
    ['faults', { faults: Array.from({ length: 11 }, () => 'a-fault') }],
  ])('names %s as what is wrong with %j', (path, wrong) => {
    const { error } = protectRequestSchema.safeParse({ ...least, ...wrong });
    expect(error && issueOf(error)).toMatch(new RegExp(`^${path}: \\S`));
  });

  it.each([undefined, null, 'guest', [], 7])('refuses %j, which is no request', (request) => {
    const { error } = protectRequestSchema.safeParse(request);
    expect(error && issueOf(error)).toMatch(/^(request|domain): \S/);
  });
});
