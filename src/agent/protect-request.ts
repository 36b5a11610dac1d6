/** What an operator asks when protecting a domain; defaults are filled in here. */
import type { z } from 'zod';
import { STAGING_BYTES_DEFAULT } from '../epoch/limits.js';
import { INTERVAL_MS_DEFAULT } from '../epoch/policy.js';
import { HEARTBEAT_DEFAULT } from '../failover/heartbeat.js';
import { AGENT_PORT_DEFAULT } from './limits.js';
import { primaryConfigSchema } from './session-config.js';

export const protectRequestSchema = primaryConfigSchema
  .pick({
    domain: true,
    backup: true,
    heartbeatHosts: true,
    heartbeat: true,
    intervalMs: true,
    stagingBytes: true,
    faults: true,
  })
  .partial()
  .required({ domain: true, backup: true })
  .transform((request) => ({
    domain: request.domain,
    backup: request.backup,
    heartbeatHosts: request.heartbeatHosts ?? [request.backup.host],
    heartbeat: request.heartbeat ?? HEARTBEAT_DEFAULT,
    intervalMs: request.intervalMs ?? INTERVAL_MS_DEFAULT,
    stagingBytes: request.stagingBytes ?? STAGING_BYTES_DEFAULT,
    faults: request.faults ?? [],
  }));

export type ProtectRequest = z.output<typeof protectRequestSchema>;

/** "host", "host:port", "[v6]:port"; the default port is the agent's. */
export function parseEndpoint(text: string): { host: string; port: number } | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text.trim());
  const host = match?.[1] ?? match?.[2];
  const port = match?.[3] === undefined ? AGENT_PORT_DEFAULT : Number(match[3]);
  if (host === undefined || port < 1 || port > 65_535) return undefined;
  return { host, port };
}

/** First thing that is wrong, for a message. */
export function issueOf(error: z.ZodError): string {
  const issue = error.issues[0];
  const message = issue?.message.replace('expected nonoptional, received undefined', 'is missing');
  return `${issue?.path.join('.') || 'request'}: ${message ?? 'wrong shape'}`;
}
