/** What all commands share: global options, and how a command is declared. */
import type { ArgumentsCamelCase, Argv } from 'yargs';
import { AgentClient } from '../agent/control/client.js';

export interface GlobalOptions {
  json: boolean;
  debug: boolean;
  socket: string;
}

/** One command: its yargs part, and a body that resolves with the exit code. */
export interface CommandParts<O extends GlobalOptions> {
  /** With its aliases after it, where it has some. */
  command: string | readonly string[];
  describe: string;
  options: (yargs: Argv<GlobalOptions>) => Argv<O>;
  run: (options: ArgumentsCamelCase<O>, client: AgentClient) => Promise<number>;
}

/** Adds the command to a parser; `onExit` gets its exit code. */
export type Command = (parser: Argv<GlobalOptions>, onExit: (code: number) => void) => void;

export function defineCommand<O extends GlobalOptions>(parts: CommandParts<O>): Command {
  return (parser, onExit) => {
    parser.command(parts.command, parts.describe, parts.options, async (options) => {
      onExit(await parts.run(options, new AgentClient(options.socket)));
    });
  };
}
