/**
 * What a host is to do about a domain, durably: how it is protected, and with which host. Outlives agents,
 * sessions and the host's power.
 *
 * One JSON file per domain beside its term, replaced atomically.
 */
import { z } from 'zod';
import { DurableRecords, type RecordFiles } from '../../durable-records.js';
import { HEARTBEAT_PATHS_MAX } from '../../wire/limits.js';
import { agentError } from '../errors.js';
import { primaryConfigSchema } from '../session/session-config.js';
import type { Takeover } from '../status.js';

/** How a domain is protected, whichever host runs it. */
export const settingsSchema = primaryConfigSchema.pick({
  heartbeat: true,
  policy: true,
  consistency: true,
  outputHold: true,
  stagingBytes: true,
  recovery: true,
  faults: true,
});

export type Settings = z.infer<typeof settingsSchema>;

export function settingsOf(config: Settings): Settings {
  const { heartbeat, policy, consistency, outputHold, stagingBytes, recovery, faults } = config;
  return { heartbeat, policy, consistency, outputHold, stagingBytes, recovery, faults };
}

const addresses = z.array(z.string().min(1).max(255)).min(1).max(HEARTBEAT_PATHS_MAX);

const recordSchema = z.object({
  domain: z.string().min(1).max(255),
  role: z.enum(['primary', 'backup']),
  wanted: z.enum(['protected', 'paused']),
  /** It was protected once: an attempt that never came so far is not repeated. */
  established: z.boolean(),
  /** The guest was shut down or destroyed by somebody: it is not started again by itself. */
  endedOnPurpose: z.boolean(),
  /** The other host's agent. */
  peer: z.object({ host: z.string(), port: z.number().int() }),
  /** Where heartbeats reach the other host, and where they reach this one. */
  peerAddresses: addresses,
  ownAddresses: addresses.optional(),
  settings: settingsSchema,
  /** By which the domain came here. */
  takeover: z.custom<Takeover>().optional(),
});

export type DomainRecord = z.infer<typeof recordSchema>;

/** @throws AGENT_RECORD_UNREADABLE on reading what is not ours */
export class DomainRecords extends DurableRecords<DomainRecord> {
  constructor(directory: string) {
    const unreadable: RecordFiles<DomainRecord>['unreadable'] = (message, context) =>
      agentError('AGENT_RECORD_UNREADABLE', message, context);
    super({ directory, kind: 'domain', schema: recordSchema, unreadable });
  }
}
