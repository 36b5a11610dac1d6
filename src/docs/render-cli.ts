/** The command line as docs/cli.md. Pure. */
import { type Cells, code, table } from './markdown.js';

export interface CommandLine {
  readonly exitCodes: readonly { code: number; meaning: string }[];
  readonly events: Readonly<Record<string, { by: string; meaning: string }>>;
}

const INTRO = `# Command line

This file is made from the code by \`script/docs\`; do not edit it.
`;

const EVENTS = `## Events

\`understudy events\` prints them, one line each; with \`--json\` they come as \`{"events": Event[]}\`, with \`--follow --json\`
each is a line of its own. They are kept on each host in \`/var/lib/understudy/events.jsonl\`, some ten thousand of
them, and outlive agents, sessions and reboots.
`;

export function renderCli({ exitCodes, events }: CommandLine): string {
  return [
    INTRO,
    '## Exit codes\n',
    exitCodeTable(exitCodes),
    '',
    EVENTS,
    eventTable(events),
    '',
  ].join('\n');
}

function exitCodeTable(exitCodes: CommandLine['exitCodes']): string {
  return table(
    ['Code', 'Meaning'],
    exitCodes.map(({ code: number, meaning }): Cells => [String(number), meaning]),
  );
}

function eventTable(events: CommandLine['events']): string {
  return table(
    ['Event', 'Written by', 'Meaning'],
    Object.entries(events).map(([name, { by, meaning }]): Cells => [code(name), by, meaning]),
  );
}
