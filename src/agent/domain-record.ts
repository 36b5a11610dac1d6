/**
 * What a host is to do about a domain, durably: how it is protected, and with which host. Outlives agents,
 * sessions and the host's power.
 *
 * One JSON file per domain beside its term, replaced atomically.
 */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { readDurable, writeDurable } from '../durable-file.js';
import { messageOf } from '../errors.js';
import { agentError } from './errors.js';
import { primaryConfigSchema } from './session-config.js';
import type { Takeover } from './status.js';

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

const addresses = z.array(z.string().min(1).max(255)).min(1).max(8);

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

export class DomainRecords {
  constructor(private readonly directory: string) {}

  /** @throws AGENT_RECORD_UNREADABLE */
  async read(domain: string): Promise<DomainRecord | undefined> {
    const path = this.#path(domain);
    let text: string | undefined;
    try {
      text = await readDurable(path);
      if (text === undefined) return undefined;
      const record = recordSchema.parse(JSON.parse(text));
      if (record.domain === domain) return record;
    } catch (cause) {
      throw agentError('AGENT_RECORD_UNREADABLE', `${path}: ${messageOf(cause)}`, {
        domain,
        cause,
      });
    }
    throw agentError('AGENT_RECORD_UNREADABLE', `${path} is of another domain`, { domain });
  }

  /** Durable when it resolves. */
  write(record: DomainRecord): Promise<void> {
    return writeDurable(this.#path(record.domain), `${JSON.stringify(record)}\n`);
  }

  async remove(domain: string): Promise<void> {
    await rm(this.#path(domain), { force: true });
  }

  /** Domains that have a record on this host. */
  async domains(): Promise<string[]> {
    const names = await readdir(this.directory).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    });
    return names.flatMap((name) => {
      const encoded = /^domain-(.+)\.json$/.exec(name)?.[1];
      return encoded === undefined ? [] : [decodeURIComponent(encoded)];
    });
  }

  #path(domain: string): string {
    return join(this.directory, `domain-${encodeURIComponent(domain)}.json`);
  }
}
