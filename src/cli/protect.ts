import type { ProtectBody } from '../agent/control/client.js';
import { parseEndpoint } from '../agent/control/endpoint.js';
import { CONSISTENCIES, type Consistency } from '../wire/consistency.js';
import { defineCommand } from './command.js';
import { cliError } from './errors.js';
import { EXIT } from './exit-codes.js';
import { ms, pc, printJson, printLine } from './output.js';
import { type PolicyArguments, policyBody, withPolicyOptions } from './policy-options.js';
import { waitShowingProgress } from './progress.js';

/** `understudy protect DOMAIN --backup HOST`: returns when a failure would lose nothing any more. */
export const protectCommand = defineCommand({
  command: 'protect <domain>',
  describe: 'keep a backup of a running domain that takes over when this host fails',
  options: (yargs) =>
    withPolicyOptions(yargs)
      .positional('domain', { type: 'string', demandOption: true, describe: 'libvirt domain' })
      .option('backup', {
        type: 'string',
        demandOption: true,
        describe: 'a host of the cluster by name, or an agent’s HOST[:PORT]',
      })
      .option('consistency', {
        choices: Object.keys(CONSISTENCIES) as Consistency[],
        default: 'strong' as const satisfies Consistency,
        describe:
          'strong: output waits for its checkpoint; timeline: it does not, and a takeover may go back',
      })
      .option('output-hold', {
        choices: ['auto', 'plug', 'holder'] as const,
        default: 'auto' as const,
        describe: 'how output is held: by the kernel’s plug qdisc, or by understudy itself',
      })
      .option('recovery', {
        choices: ['automatic', 'manual'] as const,
        default: 'automatic' as const,
        describe: 'after a fault: automatic: it is protected again by itself; manual: you do it',
      })
      .option('heartbeat-host', {
        type: 'string',
        array: true,
        describe: 'addresses of the backup for heartbeats, one per path (default: all of the host)',
      })
      .option('heartbeat-interval', {
        type: 'number',
        describe: 'milliseconds between heartbeats (default: as configured, 50)',
      })
      .option('heartbeat-missed', {
        type: 'number',
        describe: 'heartbeats missed on every path before a takeover (default: as configured, 5)',
      })
      .option('staging-mib', { type: 'number', describe: 'memory for one checkpoint, MiB' })
      .option('wait', {
        type: 'boolean',
        default: true,
        describe: 'wait until the domain is protected',
      })
      .option('timeout', { type: 'number', default: 600, describe: 'seconds to wait' })
      .option('unsafe-fault', { type: 'string', array: true, hidden: true })
      .example(
        '$0 protect web1 --backup 10.0.0.2',
        'protect web1; a checkpoint whenever output waits',
      )
      .example(
        '$0 protect web1 --backup b',
        'the same, with the addresses that hosts.yaml has for b',
      ),
  run: async (options, client) => {
    const { domain, json } = options;
    const first = await client.protect(domain, bodyOf(options));
    if (!options.wait) {
      if (json) printJson(first);
      return EXIT.ok;
    }
    const status = await waitShowingProgress(client, domain, {
      timeoutS: options.timeout,
      quiet: json,
    });
    if (json) printJson(status);
    else {
      const pause = status.epochs === undefined ? '' : `, pause ${ms(status.epochs.pauseMs.p50)}`;
      printLine(`${domain}: ${pc.green('protected')} by ${status.peer}${pause}`);
    }
    return EXIT.ok;
  },
});

interface ProtectOptions extends PolicyArguments {
  backup: string;
  consistency: Consistency;
  outputHold: 'auto' | 'plug' | 'holder';
  recovery: 'automatic' | 'manual';
  heartbeatHost: string[] | undefined;
  heartbeatInterval: number | undefined;
  heartbeatMissed: number | undefined;
  stagingMib: number | undefined;
  unsafeFault: string[] | undefined;
}

function bodyOf(options: ProtectOptions): ProtectBody {
  const backup = parseEndpoint(options.backup);
  if (backup === undefined) {
    throw cliError('CLI_USAGE', `--backup ${options.backup} is not HOST[:PORT]`);
  }
  return {
    backup,
    ...policyBody(options),
    consistency: options.consistency,
    outputHold: options.outputHold,
    recovery: options.recovery,
    heartbeat: {
      ...(options.heartbeatInterval === undefined ? {} : { intervalMs: options.heartbeatInterval }),
      ...(options.heartbeatMissed === undefined ? {} : { missedMax: options.heartbeatMissed }),
    },
    ...(options.heartbeatHost === undefined ? {} : { heartbeatHosts: options.heartbeatHost }),
    ...(options.stagingMib === undefined ? {} : { stagingBytes: options.stagingMib * 1024 ** 2 }),
    ...(options.unsafeFault === undefined ? {} : { faults: options.unsafeFault }),
  };
}
