import type { ProtectBody } from '../agent/client.js';
import { parseEndpoint } from '../agent/protect-request.js';
import { waitProtected } from '../agent/wait-protected.js';
import { INTERVAL_MS_DEFAULT } from '../epoch/policy.js';
import { HEARTBEAT_DEFAULT } from '../failover/heartbeat.js';
import { defineCommand } from './command.js';
import { cliError } from './errors.js';
import { EXIT } from './exit-codes.js';
import { ms, pc, printJson, printLine } from './output.js';
import { progressBar } from './progress.js';

/** `understudy protect DOMAIN --backup HOST`: returns when a failure would lose nothing any more. */
export const protectCommand = defineCommand({
  command: 'protect <domain>',
  describe: 'keep a backup of a running domain that takes over when this host fails',
  options: (yargs) =>
    yargs
      .positional('domain', { type: 'string', demandOption: true, describe: 'libvirt domain' })
      .option('backup', {
        type: 'string',
        demandOption: true,
        describe: 'the backup’s agent, HOST[:PORT]',
      })
      .option('interval', {
        type: 'number',
        default: INTERVAL_MS_DEFAULT,
        describe: 'milliseconds between checkpoints',
      })
      .option('heartbeat-host', {
        type: 'string',
        array: true,
        describe: 'addresses of the backup for heartbeats, one per path (default: the backup’s)',
      })
      .option('heartbeat-interval', {
        type: 'number',
        default: HEARTBEAT_DEFAULT.intervalMs,
        describe: 'milliseconds between heartbeats',
      })
      .option('heartbeat-missed', {
        type: 'number',
        default: HEARTBEAT_DEFAULT.missedMax,
        describe: 'heartbeats missed on every path before a takeover',
      })
      .option('staging-mib', { type: 'number', describe: 'memory for one checkpoint, MiB' })
      .option('wait', {
        type: 'boolean',
        default: true,
        describe: 'wait until the domain is protected',
      })
      .option('timeout', { type: 'number', default: 600, describe: 'seconds to wait' })
      .option('unsafe-fault', { type: 'string', array: true, hidden: true })
      .example('$0 protect web1 --backup 10.0.0.2', 'protect web1, checkpoints every 50 ms'),
  run: async (options, client) => {
    const { domain, json } = options;
    const first = await client.protect(domain, bodyOf(options));
    if (!options.wait) {
      if (json) printJson(first);
      return EXIT.ok;
    }
    const bar = progressBar(json);
    try {
      const status = await waitProtected(() => client.status(domain), {
        timeoutMs: options.timeout * 1000,
        onStatus: (now) => bar?.show(now),
      });
      bar?.stop();
      if (json) printJson(status);
      else {
        const pause = status.epochs === undefined ? '' : `, pause ${ms(status.epochs.pauseMs.p50)}`;
        printLine(`${domain}: ${pc.green('protected')} by ${status.peer}${pause}`);
      }
      return EXIT.ok;
    } finally {
      bar?.stop();
    }
  },
});

interface ProtectOptions {
  backup: string;
  interval: number;
  heartbeatHost: string[] | undefined;
  heartbeatInterval: number;
  heartbeatMissed: number;
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
    intervalMs: options.interval,
    heartbeat: { intervalMs: options.heartbeatInterval, missedMax: options.heartbeatMissed },
    ...(options.heartbeatHost === undefined ? {} : { heartbeatHosts: options.heartbeatHost }),
    ...(options.stagingMib === undefined ? {} : { stagingBytes: options.stagingMib * 1024 ** 2 }),
    ...(options.unsafeFault === undefined ? {} : { faults: options.unsafeFault }),
  };
}
