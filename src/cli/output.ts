/** How the CLI speaks: text for people, JSON for programs, colours only on a terminal. */
import Table from 'cli-table3';
import picocolors from 'picocolors';
import { reasonOf } from '../agent/status.js';
import { UnderstudyError } from '../errors.js';
import { EXIT } from './exit-codes.js';

const onTerminal = (stream: NodeJS.WriteStream): boolean =>
  stream.isTTY === true && process.env.NO_COLOR === undefined;

/** Colours for standard output: on a terminal only, whatever the environment pretends. */
export const pc = picocolors.createColors(onTerminal(process.stdout));
const errorColours = picocolors.createColors(onTerminal(process.stderr));

/** A state in the colour of what it means for the guest: safe, on its way, in danger. */
export function stateWord(state: string, width = 0): string {
  const padded = state.padEnd(width);
  if (GOOD.has(state)) return pc.green(padded);
  return WAITING.has(state) ? pc.yellow(padded) : pc.red(padded);
}

/** The guest is safe, or runs where it was taken over. */
export function isGood(state: string): boolean {
  return GOOD.has(state);
}

const GOOD = new Set(['protected', 'promoted']);
const WAITING = new Set(['syncing', 'promoting', 're-protecting', 'switching-over', 'paused']);

export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

export function printLine(line = ''): void {
  process.stdout.write(`${line}\n`);
}

/** To standard error, so that what a program reads stays what it asked for. */
export function printWarning(text: string): void {
  process.stderr.write(`${errorColours.yellow('warning')} ${text}\n`);
}

/** Rows without frames, as kubectl and virsh print them. */
export function printTable(head: readonly string[], rows: readonly (readonly string[])[]): void {
  const none = { top: '', 'top-mid': '', 'top-left': '', 'top-right': '', bottom: '' };
  const table = new Table({
    head: [...head],
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 2 },
    chars: {
      ...none,
      'bottom-mid': '',
      'bottom-left': '',
      'bottom-right': '',
      left: '',
      'left-mid': '',
      mid: '',
      'mid-mid': '',
      right: '',
      'right-mid': '',
      middle: '',
    },
  });
  table.push(...rows.map((row) => [...row]));
  // The last column is padded as well.
  printLine(table.toString().replace(/ +$/gm, ''));
}

/** Says what failed and what to do, and gives the exit code for it. */
export function printError(error: unknown, options: { json: boolean; debug: boolean }): number {
  const { code, message, remedy } = reasonOf(error);
  if (options.json) printJson({ error: { code, message, remedy } });
  else {
    process.stderr.write(`${errorColours.red('error')} ${code}: ${message}\n`);
    process.stderr.write(`${errorColours.dim('remedy')} ${remedy}\n`);
  }
  if (options.debug && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  if (error instanceof UnderstudyError && error.code === 'AGENT_UNREACHABLE') return EXIT.noAgent;
  return EXIT.failed;
}

export function mib(bytes: number): string {
  return `${(bytes / 1024 ** 2).toFixed(bytes < 10 * 1024 ** 2 ? 1 : 0)} MiB`;
}

export function ms(value: number): string {
  return `${value.toFixed(value < 10 ? 2 : 0)} ms`;
}
