/** The command line: declares every command, gives every failure a code, a remedy and an exit code. */
import yargs, { type Argv } from 'yargs';
import { controlSocket } from '../agent/control/control-socket.js';
import { RUN_DIR_DEFAULT } from '../agent/limits.js';
import { VERSION } from '../agent/version.js';
import { checkCommand } from './check.js';
import { checkpointCommand } from './checkpoint.js';
import type { Command, GlobalOptions } from './command.js';
import { askedToComplete, complete, completionCommand } from './completion.js';
import { cliError } from './errors.js';
import { eventsCommand } from './events.js';
import { EXIT, EXIT_CODES_LINE } from './exit-codes.js';
import { failoverCommand } from './failover.js';
import { hostCommand } from './host.js';
import { labCommand } from './lab.js';
import { listCommand } from './list.js';
import { printError } from './output.js';
import { pauseCommand } from './pause.js';
import { protectCommand } from './protect.js';
import { resumeCommand } from './resume.js';
import { statusCommand } from './status.js';
import { switchoverCommand } from './switchover.js';
import { unprotectCommand } from './unprotect.js';
import { versionCommand } from './version.js';

/** In the order in which `--help` shows them. */
const LOOKING = [checkCommand, listCommand, statusCommand, eventsCommand];
const PROTECTING = [
  protectCommand,
  unprotectCommand,
  pauseCommand,
  resumeCommand,
  checkpointCommand,
];
const MOVING = [switchoverCommand, failoverCommand];
const OTHERS = [hostCommand, labCommand, completionCommand, versionCommand];
export const COMMANDS: readonly Command[] = [...LOOKING, ...PROTECTING, ...MOVING, ...OTHERS];

/** The command line with all of its commands; `onExit` gets the exit code of the one that ran. */
export function commandLine(
  argv: readonly string[],
  onExit: (code: number) => void,
): Argv<GlobalOptions> {
  const parser = yargs([...argv])
    .scriptName('understudy')
    .usage('$0 COMMAND [options]\n\nKeeps a running virtual machine alive when its host dies.')
    .version(VERSION)
    .option('json', { type: 'boolean', default: false, describe: 'print JSON' })
    .option('debug', { type: 'boolean', default: false, describe: 'print stack traces' })
    .option('socket', {
      type: 'string',
      default: socketDefault(),
      describe: 'control socket of this host’s agent',
    })
    .strict()
    .demandCommand(1, 'which command?')
    .recommendCommands()
    .epilogue(EXIT_CODES_LINE)
    .exitProcess(false)
    .fail((message, error) => {
      throw error ?? cliError('CLI_USAGE', message);
    }) as Argv<GlobalOptions>;
  for (const declare of COMMANDS) declare(parser, onExit);
  return parser;
}

/** Runs one command line; resolves with the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  // `understudy status | head`: nobody reads on.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  let exitCode: number = EXIT.ok;
  const parserOf = (words: readonly string[]): Argv<GlobalOptions> =>
    commandLine(words, (code) => {
      exitCode = code;
    });
  const words = askedToComplete(argv);
  if (words !== undefined) {
    await complete(parserOf, words, socketDefault());
    return EXIT.ok;
  }
  try {
    await parserOf(argv).parseAsync();
    return exitCode;
  } catch (error) {
    const options = { json: argv.includes('--json'), debug: argv.includes('--debug') };
    const code = printError(error, options);
    return isUsage(error) ? EXIT.usage : code;
  }
}

function socketDefault(): string {
  return process.env.UNDERSTUDY_SOCKET ?? controlSocket(RUN_DIR_DEFAULT);
}

function isUsage(error: unknown): boolean {
  return error instanceof Error && (error.name === 'YError' || hasCode(error, 'CLI_USAGE'));
}

function hasCode(error: Error, code: string): boolean {
  return 'code' in error && error.code === code;
}
