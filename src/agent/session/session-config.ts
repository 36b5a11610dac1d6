/** What a session is told at its start. Checked on both sides of the fork. */
import { z } from 'zod';
import { INTERVAL_MS_MAX, INTERVAL_MS_MIN } from '../../epoch/policy.js';
import { HEARTBEAT_PATHS_MAX } from '../../wire/limits.js';
import { consistencySchema } from '../../wire/messages.js';

const common = {
  domain: z.string().min(1).max(255),
  libvirtUri: z.string().min(1),
  runDir: z.string().min(1),
  stateDir: z.string().min(1),
  peers: z.object({
    /** Directory of this host's certificates. */
    pki: z.string().min(1),
    /** hosts.yaml */
    hosts: z.string().min(1),
    /** False where the replication link is nobody else's. */
    encrypt: z.boolean(),
  }),
};

const endpoint = z.object({
  host: z.string().min(1).max(255),
  port: z.number().int().min(1).max(65_535),
});

const intervalMs = z.number().min(INTERVAL_MS_MIN).max(INTERVAL_MS_MAX);

export const policySchema = z.discriminatedUnion('name', [
  z.object({ name: z.literal('fixed'), intervalMs }),
  z.object({
    name: z.literal('adaptive'),
    minIntervalMs: z.number().min(0).max(INTERVAL_MS_MAX),
    maxIntervalMs: intervalMs,
    pauseBudget: z.number().min(0.01).max(1),
  }),
]);

export const primaryConfigSchema = z.object({
  ...common,
  role: z.literal('primary'),
  /** The backup's agent. */
  backup: endpoint,
  /** Addresses of the backup that heartbeats go to; the first is usually the backup's own. */
  heartbeatHosts: z.array(z.string().min(1)).min(1).max(HEARTBEAT_PATHS_MAX),
  heartbeat: z.object({
    intervalMs: z.number().int().min(10).max(10_000),
    missedMax: z.number().int().min(2).max(100),
  }),
  policy: policySchema,
  consistency: consistencySchema,
  /** How output is held; `auto` takes the first that this kernel can do. */
  outputHold: z.enum(['auto', 'plug', 'holder']),
  stagingBytes: z
    .number()
    .int()
    .min(1024 * 1024)
    .max(16 * 1024 ** 3),
  /** What is done after a fault: `automatic` protects the domain again without being asked. */
  recovery: z.enum(['automatic', 'manual']),
  /** `takeover`: the domain came here by one, and goes back to the host that lost it. */
  origin: z.enum(['start', 'takeover']),
  /** Addresses of this host that heartbeats would go to, if the roles were changed. */
  ownAddresses: z.array(z.string().min(1)).min(1).max(HEARTBEAT_PATHS_MAX).optional(),
  faults: z.array(z.string()).max(10),
  /** Where this host's agent answers other hosts. */
  agentPort: z.number().int().min(1).max(65_535),
});

export const backupConfigSchema = z.object({
  ...common,
  role: z.literal('backup'),
  /** Address to listen on; the port is chosen by the kernel. */
  listenHost: z.string().min(1),
  /** Where replicas of disks are made that have no place on this host yet. */
  replicaDir: z.string().min(1),
});

export const sessionConfigSchema = z.discriminatedUnion('role', [
  primaryConfigSchema,
  backupConfigSchema,
]);

export type PrimaryConfig = z.infer<typeof primaryConfigSchema>;
export type BackupConfig = z.infer<typeof backupConfigSchema>;
/** How this host talks to others. */
export type PeerSettings = SessionConfig['peers'];
export type SessionConfig = z.infer<typeof sessionConfigSchema>;
