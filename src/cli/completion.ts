import { setTimeout as delay } from 'node:timers/promises';
import type { Argv } from 'yargs';
import { AgentClient } from '../agent/control/client.js';
import { defineCommand, type GlobalOptions } from './command.js';
import { COMPLETION_SCRIPTS, COMPLETIONS_OPTION, type Shell } from './completion-scripts.js';
import { EXIT } from './exit-codes.js';
import { printLine } from './output.js';

/** `understudy completion bash|zsh`: the script that makes the shell ask us. */
export const completionCommand = defineCommand({
  command: 'completion <shell>',
  describe: 'print the script that completes commands, options and domains in a shell',
  options: (yargs) =>
    yargs
      .positional('shell', {
        choices: Object.keys(COMPLETION_SCRIPTS) as Shell[],
        demandOption: true,
        describe: 'whose script',
      })
      .example('source <($0 completion bash)', 'in ~/.bashrc')
      .example('source <($0 completion zsh)', 'in ~/.zshrc, after compinit'),
  run: async ({ shell }) => {
    process.stdout.write(COMPLETION_SCRIPTS[shell]);
    return EXIT.ok;
  },
});

/** Options without a value: the word after them may be a domain. A test compares them with `--help`. */
export const FLAGS: ReadonlySet<string> = new Set([
  '--accept-new-host-key',
  '--all',
  '--debug',
  '--epochs',
  '--follow',
  '--force',
  '--help',
  '--json',
  '--version',
  '--wait',
  '--disk',
]);

/** Commands that take a domain, and whether also one that is not protected makes sense there. */
const OF_DOMAINS: ReadonlyMap<string, 'all' | 'protected'> = new Map([
  ['check', 'all'],
  ['protect', 'all'],
  ['status', 'protected'],
  ['events', 'protected'],
  ['unprotect', 'protected'],
  ['checkpoint', 'protected'],
  ['failover', 'protected'],
  ['pause', 'protected'],
  ['resume', 'protected'],
  ['switchover', 'protected'],
]);

/** A shell does not wait for an agent that hangs. */
const ANSWER_TIMEOUT_MS = 1_500;

/** The words after the name of the program, when a shell asks what may come next. */
export function askedToComplete(argv: readonly string[]): string[] | undefined {
  return argv[0] === `--${COMPLETIONS_OPTION}` ? argv.slice(2) : undefined;
}

/** Prints what may stand in the place of the last word, one to a line; `parserOf` makes the command line. */
export async function complete(
  parserOf: (argv: readonly string[]) => Argv<GlobalOptions>,
  words: readonly string[],
  socket: string,
): Promise<void> {
  const known = await commandsAndOptions(parserOf, words);
  const domains = takesDomain(words) ? await domainsFor(words, new AgentClient(socket)) : [];
  const current = words.at(-1) ?? '';
  const others = known.filter((word) => isWanted(word, current, domains.length > 0));
  for (const word of [...domains, ...others]) printLine(word);
}

/** yargs knows them and can only print them: what it prints is caught. */
async function commandsAndOptions(
  parserOf: (argv: readonly string[]) => Argv<GlobalOptions>,
  words: readonly string[],
): Promise<string[]> {
  const printed: string[] = [];
  const { log } = console;
  console.log = (line: string) => printed.push(line);
  try {
    await parserOf([`--${COMPLETIONS_OPTION}`, 'understudy', ...words]).parseAsync();
  } finally {
    console.log = log;
  }
  return printed;
}

/** Options are offered when one begins, or where there is nothing else. A long dash before a short name is wrong. */
function isWanted(word: string, current: string, hasDomains: boolean): boolean {
  if (word === '' || /^--.(:|$)/.test(word)) return false;
  return !(hasDomains && word.startsWith('-') && !current.startsWith('-'));
}

/** Whether the last word stands where the command has its domain. */
export function takesDomain(words: readonly string[]): boolean {
  const before = words.slice(0, -1);
  const [command, ...others] = before;
  if (command === undefined || !OF_DOMAINS.has(command)) return false;
  if (words.at(-1)?.startsWith('-') === true) return false;
  return (
    others.filter((word, index) => isPositional(word, others[index - 1])).length === 0 &&
    isPositional('', others.at(-1))
  );
}

function isPositional(word: string, before: string | undefined): boolean {
  if (word.startsWith('-')) return false;
  const isValue = before?.startsWith('-') === true && !before.includes('=') && !isFlag(before);
  return !isValue;
}

function isFlag(option: string): boolean {
  return FLAGS.has(option.replace(/^--no-/, '--')) || /^-[fh]$/.test(option);
}

async function domainsFor(words: readonly string[], client: AgentClient): Promise<string[]> {
  const timer = new AbortController();
  const tooLate = delay(ANSWER_TIMEOUT_MS, undefined, { signal: timer.signal });
  try {
    const answer = await Promise.race([client.listAll(), tooLate]);
    const { domains = [], others = [] } = answer ?? {};
    const candidates = OF_DOMAINS.get(words[0] ?? '') === 'all' ? others : domains;
    return candidates.map(({ domain }) => escaped(domain)).sort();
  } catch {
    // No agent, no names: a shell has no place for an error.
    return [];
  } finally {
    timer.abort();
    tooLate.catch(() => undefined);
  }
}

/** zsh takes what comes after a colon for a description. */
function escaped(word: string): string {
  return process.env.SHELL?.endsWith('zsh') === true ? word.replaceAll(':', '\\:') : word;
}
