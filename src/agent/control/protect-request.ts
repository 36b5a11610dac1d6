/** What an operator asks when protecting a domain; defaults are filled in here. */
import { z } from 'zod';
import { STAGING_BYTES_DEFAULT } from '../../epoch/limits.js';
import {
  INTERVAL_MS_DEFAULT,
  MAX_INTERVAL_MS_DEFAULT,
  MIN_INTERVAL_MS_DEFAULT,
  PAUSE_BUDGET_DEFAULT,
  POLICIES,
  POLICY_DEFAULT,
  type PolicyName,
} from '../../epoch/policy.js';
import { HEARTBEAT_DEFAULT } from '../../failover/heartbeat.js';
import { RECOVERY_DEFAULT } from '../limits.js';
import {
  type PrimaryConfig,
  policySchema,
  primaryConfigSchema,
} from '../session/session-config.js';

/** Which policy an option belongs to. */
const POLICY_OF = {
  intervalMs: 'fixed',
  minIntervalMs: 'adaptive',
  maxIntervalMs: 'adaptive',
  pauseBudget: 'adaptive',
} as const satisfies Record<string, PolicyName>;

const policyOptions = {
  policy: z.enum(Object.keys(POLICIES) as [PolicyName, ...PolicyName[]]).optional(),
  intervalMs: z.number().optional(),
  minIntervalMs: z.number().optional(),
  maxIntervalMs: z.number().optional(),
  pauseBudget: z.number().optional(),
};
type PolicyRequest = z.output<z.ZodObject<typeof policyOptions>>;

/** The policy that is asked for; what is wrong with it becomes an issue of `context`. */
function policyFrom(request: PolicyRequest, context: z.RefinementCtx): PrimaryConfig['policy'] {
  const wrong = (path: PropertyKey[], message: string): void =>
    context.addIssue({ code: 'custom', path, message });
  // An interval alone asks for what it belongs to.
  const name = request.policy ?? (request.intervalMs === undefined ? POLICY_DEFAULT : 'fixed');
  for (const [option, policy] of Object.entries(POLICY_OF)) {
    if (policy !== name && request[option as keyof typeof POLICY_OF] !== undefined) {
      wrong([option], `only means something with policy ${policy}`);
    }
  }
  const {
    intervalMs = INTERVAL_MS_DEFAULT,
    maxIntervalMs = MAX_INTERVAL_MS_DEFAULT,
    minIntervalMs = Math.min(MIN_INTERVAL_MS_DEFAULT, maxIntervalMs),
    pauseBudget = PAUSE_BUDGET_DEFAULT,
  } = request;
  const policy =
    name === 'fixed' ? { name, intervalMs } : { name, minIntervalMs, maxIntervalMs, pauseBudget };
  for (const { path, message } of policySchema.safeParse(policy).error?.issues ?? []) {
    wrong([...path], message);
  }
  if (name === 'adaptive' && minIntervalMs > maxIntervalMs) {
    wrong(['minIntervalMs'], `${minIntervalMs} is more than maxIntervalMs (${maxIntervalMs})`);
  }
  return policy;
}

export const protectRequestSchema = primaryConfigSchema
  .pick({
    domain: true,
    backup: true,
    heartbeatHosts: true,
    heartbeat: true,
    consistency: true,
    outputHold: true,
    stagingBytes: true,
    recovery: true,
    ownAddresses: true,
    faults: true,
  })
  .partial()
  .required({ domain: true, backup: true })
  .extend(policyOptions)
  .transform((request, context) => ({
    domain: request.domain,
    backup: request.backup,
    heartbeatHosts: request.heartbeatHosts ?? [request.backup.host],
    heartbeat: request.heartbeat ?? HEARTBEAT_DEFAULT,
    policy: policyFrom(request, context),
    consistency: request.consistency ?? 'strong',
    outputHold: request.outputHold ?? 'auto',
    stagingBytes: request.stagingBytes ?? STAGING_BYTES_DEFAULT,
    recovery: request.recovery ?? RECOVERY_DEFAULT,
    ...(request.ownAddresses === undefined ? {} : { ownAddresses: request.ownAddresses }),
    faults: request.faults ?? [],
  }));

export type ProtectRequest = z.output<typeof protectRequestSchema>;

/** First thing that is wrong, for a message. */
export function issueOf(error: z.ZodError): string {
  const issue = error.issues[0];
  const message = issue?.message.replace('expected nonoptional, received undefined', 'is missing');
  return `${issue?.path.join('.') || 'request'}: ${message ?? 'wrong shape'}`;
}
