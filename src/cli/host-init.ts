import { AGENT_PORT_DEFAULT } from '../agent/limits.js';
import { CONFIG_FILE_DEFAULT } from '../config/paths.js';
import { defineCommand } from './command.js';
import { EXIT } from './exit-codes.js';
import { hostConfig, withConfigOption } from './host-options.js';
import { pc, printJson, printLine } from './output.js';

/** `understudy host init`: begins a cluster on this host. */
export const hostInitCommand = defineCommand({
  command: 'init',
  describe: 'make the cluster’s CA here, and this host its first',
  options: (yargs) =>
    withConfigOption(yargs)
      .option('name', { type: 'string', describe: 'this host’s name (default: the system’s)' })
      .option('address', {
        type: 'string',
        array: true,
        default: [] as string[],
        describe: 'where other hosts reach it; the first is the replication link (repeatable)',
      })
      .option('agent-port', {
        type: 'number',
        default: AGENT_PORT_DEFAULT,
        describe: 'port of its agent',
      })
      .example(
        '$0 host init --name a --address 10.0.0.1 --address 192.168.1.1',
        'begin a cluster; 10.0.0.1 is on the replication link',
      ),
  run: async (options) => {
    const { initCluster } = await import('../cluster/init.js');
    const config = await hostConfig(options);
    const { name, address: addresses, agentPort: port, json } = options;
    const host = await initCluster(
      config,
      { name, addresses, port },
      options.config ?? CONFIG_FILE_DEFAULT,
    );
    if (json) printJson(host);
    else {
      printLine(`${pc.green('✓')} ${host.name} is the first host, at ${host.addresses.join(', ')}`);
      printLine(
        `  the cluster’s CA is ${config.pki}/ca.key: keep a copy where nobody else reads it`,
      );
      printLine('  next: understudy host start, then understudy host add root@OTHER');
    }
    return EXIT.ok;
  },
});
