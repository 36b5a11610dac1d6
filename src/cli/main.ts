/** The command line: declares every command, gives every failure a code, a remedy and an exit code. */
import yargs, { type Argv } from 'yargs';
import { controlSocket } from '../agent/control-api.js';
import { RUN_DIR_DEFAULT } from '../agent/limits.js';
import { VERSION } from '../agent/version.js';
import { checkCommand } from './check.js';
import { checkpointCommand } from './checkpoint.js';
import type { GlobalOptions } from './command.js';
import { cliError } from './errors.js';
import { EXIT } from './exit-codes.js';
import { failoverCommand } from './failover.js';
import { hostCommand } from './host.js';
import { labCommand } from './lab.js';
import { printError } from './output.js';
import { protectCommand } from './protect.js';
import { statusCommand } from './status.js';
import { unprotectCommand } from './unprotect.js';

const COMMANDS = [
  checkCommand,
  protectCommand,
  statusCommand,
  checkpointCommand,
  unprotectCommand,
  failoverCommand,
  hostCommand,
  labCommand,
];

/** Runs one command line; resolves with the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  let exitCode: number = EXIT.ok;
  const json = argv.includes('--json');
  const debug = argv.includes('--debug');
  const parser = yargs(argv)
    .scriptName('understudy')
    .usage('$0 COMMAND [options]\n\nKeeps a running virtual machine alive when its host dies.')
    .version(VERSION)
    .option('json', { type: 'boolean', default: false, describe: 'print JSON' })
    .option('debug', { type: 'boolean', default: false, describe: 'print stack traces' })
    .option('socket', {
      type: 'string',
      default: process.env.UNDERSTUDY_SOCKET ?? controlSocket(RUN_DIR_DEFAULT),
      describe: 'control socket of this host’s agent',
    })
    .strict()
    .demandCommand(1, 'which command?')
    .recommendCommands()
    .epilogue(
      'Exit codes: 0 done, 1 failed, 2 usage, 3 check refused, 4 not protected, 5 no agent.',
    )
    .exitProcess(false)
    .fail((message, error) => {
      throw error ?? cliError('CLI_USAGE', message);
    }) as Argv<GlobalOptions>;

  for (const declare of COMMANDS) {
    declare(parser, (code) => {
      exitCode = code;
    });
  }

  try {
    await parser.parseAsync();
    return exitCode;
  } catch (error) {
    const code = printError(error, { json, debug });
    return isUsage(error) ? EXIT.usage : code;
  }
}

function isUsage(error: unknown): boolean {
  return error instanceof Error && (error.name === 'YError' || hasCode(error, 'CLI_USAGE'));
}

function hasCode(error: Error, code: string): boolean {
  return 'code' in error && error.code === code;
}
