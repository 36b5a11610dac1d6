/** What each command prints with `--json`: as a type of TypeScript, and as an example that the compiler checks. */
import type { FullReport } from '../agent/domain/check.js';
import type { EventRecord } from '../agent/events/events.js';
import type { DomainStatus, KnownDomain, Reason } from '../agent/status.js';
import type { AgentVersion } from '../agent/version.js';

export interface JsonAnswer {
  /** As a type, in terms of the declarations below it. */
  readonly type: string;
  readonly example?: object;
}

const reason: Reason = {
  code: 'WIRE_CLOSED',
  message: '10.0.0.2:34871: read ECONNRESET',
  remedy: 'Check that the other host and its agent are up and reachable.',
};

const status: DomainStatus = {
  domain: 'web1',
  role: 'primary',
  state: 'degraded',
  reason,
  term: 1,
  peer: '10.0.0.2:34871',
  since: '2026-11-22T00:30:12.345Z',
  sessionPid: 4711,
  qemuPid: 4242,
  consistency: 'strong',
  pauseMode: 'gate',
  pauseThrough: 'libvirt',
  lane: true,
};

const report: FullReport = {
  domain: 'web1',
  protectable: false,
  refusals: [
    {
      code: 'CHECK_TPM',
      message: 'tpm tpm-tis is present',
      remedy: 'Remove the TPM.',
    },
  ],
  warnings: [],
  found: [{ what: 'interface net0', detail: 'tap vnet0 on bridge br0' }],
};

const event: EventRecord = {
  time: '2026-11-22T00:30:12.345Z',
  domain: 'web1',
  role: 'primary',
  event: 'state-changed',
  from: 'protected',
  to: 'degraded',
  on: 'peerLost',
  because: 'The backup may have taken over or be dead; only held output is safe in both cases.',
  reason,
};

const other: KnownDomain = { domain: 'db1', running: true };
const host = { name: 'a', addresses: ['10.0.0.1', '192.168.1.1'], port: 7788 };
const version: AgentVersion = { version: '0.1.0', api: 1, pid: 4710 };

const STATUS: JsonAnswer = { type: 'DomainStatus', example: status };

/** By command; with what changes the shape after it. Every command has an entry: a test says so. */
export const JSON_ANSWERS: Readonly<Record<string, readonly JsonAnswer[] | 'none'>> = {
  check: [{ type: 'FullReport', example: report }],
  list: [
    { type: '{ domains: DomainStatus[] }' },
    {
      type: '{ domains: DomainStatus[]; others: KnownDomain[] } // --all',
      example: { domains: [], others: [other] },
    },
  ],
  status: [
    STATUS,
    { type: '{ domains: DomainStatus[] } // without DOMAIN' },
    { type: 'EpochReport // --epochs' },
  ],
  events: [
    { type: '{ events: EventRecord[] }' },
    { type: 'EventRecord // --follow: one on each line', example: event },
  ],
  protect: [{ type: 'DomainStatus' }],
  unprotect: [{ type: 'DomainStatus' }],
  pause: [{ type: 'DomainStatus' }],
  resume: [{ type: 'DomainStatus' }],
  checkpoint: [
    {
      type: '{ domain: string; epoch?: number } // epoch with --wait',
      example: { domain: 'web1', epoch: 1844 },
    },
  ],
  switchover: [{ type: 'DomainStatus' }],
  failover: [{ type: 'DomainStatus' }],
  'host init': [{ type: '{ name: string; addresses: string[]; port: number }', example: host }],
  'host start': [{ type: '{ name: string; addresses: string[]; port: number }', example: host }],
  'host add': [
    {
      type: '{ host: { name: string; addresses: string[]; port: number }; others: string[] }',
      example: { host: { ...host, name: 'b' }, others: [] },
    },
  ],
  'host list': [
    {
      type: '{ hosts: { name: string; addresses: string[]; port: number; here: boolean; answers: boolean; reason?: Reason }[]; certificateExpires?: string }',
      example: { hosts: [{ ...host, here: true, answers: true }] },
    },
  ],
  'host remove': [
    { type: '{ name: string; removed: true }', example: { name: 'b', removed: true } },
  ],
  'host certificate': [
    {
      type: '{ name: string; out: string; changed: boolean; expires: string }',
      example: {
        ...{ name: 'b', out: '/root/pki-b', changed: true },
        expires: '2036-11-20T00:00:00.000Z',
      },
    },
  ],
  'lab up': [
    {
      type: '{ prefix: string; guest: object; sockets: { a: string; b: string }; backup: string }',
    },
  ],
  'lab down': [
    { type: '{ prefix: string; removed: true }', example: { prefix: 'uslab', removed: true } },
  ],
  'lab demo': [{ type: 'DemoFigures' }],
  completion: 'none',
  version: [
    {
      type: '{ client: { version: string; api: number }; agent: AgentVersion | null }',
      example: { client: { version: '0.1.0', api: 1 }, agent: version },
    },
  ],
};

/** What a failure is in JSON, of any command. */
export const JSON_ERROR = { type: '{ error: Reason }', example: { error: reason } };
