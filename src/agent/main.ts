/** `understudyd`: the agent as a program. Ends on SIGTERM or SIGINT; its sessions go on. */
import yargs from 'yargs';
import { Agent } from './agent.js';
import { serveControl } from './control-api.js';
import { agentError } from './errors.js';
import {
  AGENT_PORT_DEFAULT,
  REPLICA_DIR_DEFAULT,
  RUN_DIR_DEFAULT,
  STATE_DIR_DEFAULT,
} from './limits.js';
import { openLog } from './log.js';
import { parseEndpoint } from './protect-request.js';
import { reasonOf } from './status.js';
import { VERSION } from './version.js';

export async function main(argv: readonly string[]): Promise<number> {
  const options = await yargs(argv)
    .scriptName('understudyd')
    .usage('$0 [options]\n\nThe agent of one host. Runs in the foreground and logs JSON lines.')
    .version(VERSION)
    .strict()
    .option('connect', {
      type: 'string',
      default: 'qemu:///system',
      describe: 'libvirt of this host',
    })
    .option('listen', {
      type: 'string',
      default: `0.0.0.0:${AGENT_PORT_DEFAULT}`,
      describe: 'address and port for other hosts',
    })
    .option('run-dir', { type: 'string', default: RUN_DIR_DEFAULT, describe: 'sockets and logs' })
    .option('state-dir', { type: 'string', default: STATE_DIR_DEFAULT, describe: 'durable terms' })
    .option('replica-dir', {
      type: 'string',
      default: REPLICA_DIR_DEFAULT,
      describe: 'where replicas of disks are kept, in DOMAIN/vda.raw',
    })
    .option('unsafe-allow-faults', {
      type: 'boolean',
      default: false,
      describe: 'accept planted faults (tests only)',
    })
    .parseAsync();
  const log = openLog({ name: 'understudyd' });
  try {
    if (process.getuid?.() !== 0) throw agentError('AGENT_NOT_ROOT', 'understudyd is not root');
    const listen = parseEndpoint(options.listen);
    if (listen === undefined) {
      throw agentError('AGENT_BAD_REQUEST', `--listen ${options.listen} is not ADDRESS[:PORT]`);
    }
    const agent = new Agent(
      {
        libvirtUri: options.connect,
        runDir: options.runDir,
        stateDir: options.stateDir,
        listen,
        replicaDir: options.replicaDir,
        allowFaults: options.unsafeAllowFaults,
      },
      log,
    );
    await agent.start();
    const control = await serveControl(agent, options.runDir);
    await new Promise((resolve) => {
      process.once('SIGTERM', resolve);
      process.once('SIGINT', resolve);
    });
    await agent.stop();
    await control.close();
    process.exit(0);
  } catch (error) {
    const { code, message, remedy } = reasonOf(error);
    process.stderr.write(`understudyd: ${code}: ${message}\n  ${remedy}\n`);
    return 1;
  }
}
