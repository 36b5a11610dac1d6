/** What `--help` says of each command: for docs/cli.md, and to test that it says enough. */
import { commandLine } from './main.js';

const ignoreExit = (): void => undefined;

/** Every command by its words, those of a group as "lab up". */
export async function commandNames(): Promise<string[]> {
  const names: string[] = [];
  for (const name of commandsIn(await helpOf(''))) {
    const inner = commandsIn(await helpOf(name));
    names.push(...(inner.length === 0 ? [name] : inner.map((one) => one)));
  }
  return names;
}

/** As on a terminal of 80 columns. */
export function helpOf(name: string): Promise<string> {
  const words = [...name.split(' ').filter((word) => word !== ''), '--help'];
  return new Promise((resolve) => {
    const parser = commandLine(words, ignoreExit).wrap(80);
    void parser.parse(words, {}, (_error, _argv, output) => resolve(output));
  });
}

/** The lines under "Commands:" that begin a command; how it goes on says nothing here. */
function commandsIn(help: string): string[] {
  const [, section = ''] = /\nCommands:\n([\s\S]*?)\n\n/.exec(help) ?? [];
  return [...section.matchAll(/^ {2}understudy ([a-z]+(?: [a-z]+)?)/gm)].map(
    ([, name = '']) => name,
  );
}
