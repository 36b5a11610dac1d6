/** The options that say when to checkpoint: `protect` and `lab demo` share them. */
import type { Argv } from 'yargs';
import type { ProtectBody } from '../agent/control/client.js';
import {
  INTERVAL_MS_DEFAULT,
  MAX_INTERVAL_MS_DEFAULT,
  MIN_INTERVAL_MS_DEFAULT,
  PAUSE_BUDGET_DEFAULT,
  POLICIES,
  POLICY_DEFAULT,
  type PolicyName,
} from '../epoch/policy.js';

export interface PolicyArguments {
  policy: PolicyName | undefined;
  interval: number | undefined;
  minInterval: number | undefined;
  maxInterval: number | undefined;
  pauseBudget: number | undefined;
}

/** No defaults here: an option that was not given says nothing, and the agent knows the defaults. */
export function withPolicyOptions<O>(yargs: Argv<O>) {
  return yargs
    .option('policy', {
      choices: Object.keys(POLICIES) as PolicyName[],
      describe: `when to checkpoint (default ${POLICY_DEFAULT}; fixed when --interval is given)`,
    })
    .option('interval', {
      type: 'number',
      describe: `fixed: milliseconds between checkpoints (default ${INTERVAL_MS_DEFAULT})`,
    })
    .option('min-interval', {
      type: 'number',
      describe: `adaptive: at least so many ms apart (default ${MIN_INTERVAL_MS_DEFAULT})`,
    })
    .option('max-interval', {
      type: 'number',
      describe: `adaptive: at most so many ms apart (default ${MAX_INTERVAL_MS_DEFAULT})`,
    })
    .option('pause-budget', {
      type: 'number',
      describe: `adaptive: percent of its working time that pauses may take from the guest (default ${PAUSE_BUDGET_DEFAULT * 100})`,
    });
}

export type PolicyBody = Pick<
  ProtectBody,
  'policy' | 'intervalMs' | 'minIntervalMs' | 'maxIntervalMs' | 'pauseBudget'
>;

export function policyBody(options: PolicyArguments): PolicyBody {
  const { policy, interval, minInterval, maxInterval, pauseBudget } = options;
  return {
    ...(policy === undefined ? {} : { policy }),
    ...(interval === undefined ? {} : { intervalMs: interval }),
    ...(minInterval === undefined ? {} : { minIntervalMs: minInterval }),
    ...(maxInterval === undefined ? {} : { maxIntervalMs: maxInterval }),
    ...(pauseBudget === undefined ? {} : { pauseBudget: pauseBudget / 100 }),
  };
}
