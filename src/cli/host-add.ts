import { AGENT_PORT_DEFAULT } from '../agent/limits.js';
import type { AddStep } from '../cluster/add.js';
import { defineCommand } from './command.js';
import { cliError } from './errors.js';
import { EXIT } from './exit-codes.js';
import { hostConfig, withConfigOption } from './host-options.js';
import { hostStepLine } from './host-steps.js';
import { pc, printJson, printLine } from './output.js';

/** `understudy host add root@HOST`: over ssh, until its agent answers here. */
export const hostAddCommand = defineCommand({
  command: 'add <target>',
  describe: 'make another host one of the cluster, or renew its certificate, over ssh',
  options: (yargs) =>
    withConfigOption(yargs)
      .positional('target', { type: 'string', demandOption: true, describe: 'root@HOST' })
      .option('name', { type: 'string', describe: 'its name (default: what it calls itself)' })
      .option('address', {
        type: 'string',
        array: true,
        default: [] as string[],
        describe: 'where hosts reach it; the first is the replication link (default: HOST)',
      })
      .option('identity', { type: 'string', describe: 'private key for ssh' })
      .option('port', { type: 'number', default: 22, describe: 'port of sshd' })
      .option('agent-port', {
        type: 'number',
        default: AGENT_PORT_DEFAULT,
        describe: 'port of its agent',
      })
      .option('accept-new-host-key', {
        type: 'boolean',
        default: false,
        describe: 'write its ssh key into known_hosts when there is none',
      })
      .example('$0 host add root@10.0.0.2 --name b', 'add 10.0.0.2 as host b'),
  run: async (options) => {
    const { target, name, address: addresses, agentPort, json } = options;
    const [, user, host] = /^([^@\s]+)@([^@\s]+)$/.exec(target) ?? [];
    if (user === undefined || host === undefined) {
      throw cliError('CLI_USAGE', `${target} is not USER@HOST`);
    }
    const [{ addHost }, { SshConnection }] = await Promise.all([
      import('../cluster/add.js'),
      import('../cluster/ssh.js'),
    ]);
    const config = await hostConfig(options);
    const { identity, port, acceptNewHostKey } = options;
    const ssh = await SshConnection.open({ user, host, port, identity, acceptNewHostKey });
    try {
      const show = (step: AddStep, detail: string): void => {
        if (!json) printLine(hostStepLine(host, step, detail));
      };
      const added = await addHost(ssh, host, config, { name, addresses, agentPort }, show);
      if (json) printJson(added);
      else if (added.others.length > 0) {
        printLine(`${pc.yellow('!')} copy ${config.hosts} to ${added.others.join(', ')}`);
      }
      return EXIT.ok;
    } finally {
      ssh.close();
    }
  },
});
