/** `understudyd`: the agent as a program. Ends on SIGTERM or SIGINT; its sessions go on. */
import yargs from 'yargs';
import type { Config } from '../config/config-file.js';
import { CONFIG_FILE_DEFAULT } from '../config/paths.js';
import { readConfig } from '../config/read-config.js';
import { Agent } from './agent.js';
import { serveControl } from './control/control-api.js';
import { parseEndpoint } from './control/endpoint.js';
import { agentError } from './errors.js';
import { EventLog, recordedLog } from './events/event-log.js';
import type { AgentOptions } from './host.js';
import { openLog } from './log.js';
import { respawn } from './respawn.js';
import { reasonOf } from './status.js';
import { VERSION } from './version.js';

/** What the command line says in place of the configuration file. */
interface Overrides {
  config: string | undefined;
  connect: string | undefined;
  listen: string | undefined;
  runDir: string | undefined;
  stateDir: string | undefined;
  replicaDir: string | undefined;
  unsafeAllowFaults: boolean;
  respawn: boolean;
}

export async function main(argv: readonly string[]): Promise<number> {
  const overrides = await yargs(argv)
    .scriptName('understudyd')
    .usage('$0 [options]\n\nThe agent of one host. Runs in the foreground and logs JSON lines.')
    .version(VERSION)
    .strict()
    .option('config', {
      type: 'string',
      describe: `configuration file (default: ${CONFIG_FILE_DEFAULT} if it is there); what follows goes before it`,
    })
    .option('connect', { type: 'string', describe: 'libvirt of this host' })
    .option('listen', { type: 'string', describe: 'ADDRESS[:PORT] for other hosts' })
    .option('run-dir', { type: 'string', describe: 'sockets and logs' })
    .option('state-dir', { type: 'string', describe: 'durable terms' })
    .option('replica-dir', {
      type: 'string',
      describe: 'where replicas of disks are kept, in DOMAIN/vda.raw',
    })
    .option('respawn', {
      type: 'boolean',
      default: false,
      describe: 'keep a child running that is the agent, where no service manager does it',
    })
    .option('unsafe-allow-faults', {
      type: 'boolean',
      default: false,
      describe: 'accept planted faults (tests only)',
    })
    .parseAsync();
  try {
    if (process.getuid?.() !== 0) throw agentError('AGENT_NOT_ROOT', 'understudyd is not root');
    if (overrides.respawn) return await respawn(argv.filter((one) => one !== '--respawn'));
    const options = optionsFrom(await readConfig(overrides.config), overrides);
    await runAgent(options);
    process.exit(0);
  } catch (error) {
    const { code, message, remedy } = reasonOf(error);
    process.stderr.write(`understudyd: ${code}: ${message}\n  ${remedy}\n`);
    return 1;
  }
}

/** Resolves when the agent was asked to end. */
async function runAgent(options: AgentOptions): Promise<void> {
  const plainLog = openLog({ name: 'understudyd' });
  const events = new EventLog(options.stateDir, plainLog);
  const agent = new Agent(options, recordedLog(plainLog, events, 'agent'));
  await agent.start();
  const control = await serveControl(agent, options);
  await new Promise((resolve) => {
    process.once('SIGTERM', resolve);
    process.once('SIGINT', resolve);
    // Whoever keeps it running is gone; the next one starts an agent of its own.
    process.once('disconnect', resolve);
  });
  await agent.stop();
  await control.close();
  await events.settled();
}

/** @throws AGENT_BAD_REQUEST when the address to listen on is none */
function optionsFrom(config: Config, overrides: Overrides): AgentOptions {
  const { directories, heartbeat, pki, hosts, replication } = config;
  const address = overrides.listen ?? config.listen;
  const listen = parseEndpoint(address);
  if (listen === undefined) {
    throw agentError('AGENT_BAD_REQUEST', `listen: ${address} is not ADDRESS[:PORT]`);
  }
  return {
    libvirtUri: overrides.connect ?? config.libvirt,
    runDir: overrides.runDir ?? directories.run,
    stateDir: overrides.stateDir ?? directories.state,
    replicaDir: overrides.replicaDir ?? directories.replicas,
    listen,
    allowFaults: overrides.unsafeAllowFaults,
    peers: { pki, hosts, encrypt: replication.encrypt },
    heartbeat: { intervalMs: heartbeat.interval, missedMax: heartbeat.missed },
  };
}
