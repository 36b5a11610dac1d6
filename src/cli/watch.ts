/** `status --watch`: the same again and again, in place on a terminal, block after block anywhere else. */
import { setTimeout as delay } from 'node:timers/promises';
import { reasonOf } from '../agent/status.js';
import { messageOf, UnderstudyError } from '../errors.js';
import { EXIT } from './exit-codes.js';
import { ended } from './interrupt.js';
import { localTime } from './moments.js';
import { pc, printLine } from './output.js';
import { Screen } from './screen.js';

export interface Watched {
  everyMs: number;
  /** Asks once; resolves with how to draw the answer in so many columns. */
  look: () => Promise<(columns: number) => readonly string[]>;
  /** Each answer is one line, for programs. */
  json: boolean;
}

/** Columns of what is no terminal. */
const COLUMNS_DEFAULT = 80;

/** Until Ctrl-C. An agent that does not answer is asked again: it may be starting. */
export async function watch({ everyMs, look, json }: Watched): Promise<number> {
  const { signal } = ended();
  const screen = process.stdout.isTTY === true && !json ? new Screen(process.stdout) : undefined;
  let draw: (columns: number) => readonly string[] = () => [];
  const show = (): void => {
    if (screen === undefined) for (const line of draw(COLUMNS_DEFAULT)) printLine(line);
    else screen.draw([titleOf(everyMs), '', ...draw(screen.columns)]);
  };
  screen?.open();
  screen?.onResized(show);
  try {
    while (!signal.aborted) {
      draw = await lookOr(look, json);
      show();
      if (screen === undefined && !json) printLine();
      await delay(everyMs, undefined, { signal }).catch(() => undefined);
    }
  } finally {
    screen?.close();
  }
  return EXIT.ok;
}

function titleOf(everyMs: number): string {
  return pc.dim(`${localTime(new Date()).slice(0, 19)}, every ${everyMs / 1000} s, Ctrl-C ends it`);
}

async function lookOr(look: Watched['look'], json: boolean): ReturnType<Watched['look']> {
  try {
    return await look();
  } catch (error) {
    if (!(error instanceof UnderstudyError)) throw error;
    if (json) return () => [JSON.stringify({ error: reasonOf(error) })];
    return () => [
      `${pc.red('error')} ${error.code}: ${messageOf(error)}`,
      `${pc.dim('remedy')} ${error.remedy}`,
    ];
  }
}
