/** The command line as docs/cli.md. Pure. */
import type { JsonAnswer } from './json-answers.js';
import { type Cells, code, table } from './markdown.js';

export interface CommandLine {
  /** What `--help` says without a command. */
  readonly help: string;
  readonly commands: readonly { name: string; help: string }[];
  readonly answers: Readonly<Record<string, readonly JsonAnswer[] | 'none'>>;
  readonly error: { type: string; example: object };
  /** The types that the answers name. */
  readonly types: string;
  readonly exitCodes: readonly { code: number; meaning: string }[];
  readonly events: Readonly<Record<string, { by: string; meaning: string }>>;
}

const INTRO = `# Command line

- [Commands](#commands)
- [Exit codes](#exit-codes)
- [JSON](#json)
- [Events](#events)
- [Live status](#live-status)
- [Completion](#completion)

\`understudy\` asks the agent of the host that it runs on, over its socket. What is asked for goes to standard output,
errors, warnings and progress to standard error. Colours are used on a terminal only, and not when \`NO_COLOR\` is
set. A stack trace is printed only with \`--debug\`. What can lose data or break a promise is spelled \`--force\` or
\`--unsafe-…\`. \`UNDERSTUDY_SOCKET\` is the default of \`--socket\`.

This file is made from the code by \`script/docs\`; do not edit it.
`;

const JSON_INTRO = `## JSON

With \`--json\` a command prints one object on one line, a failure included. Fields that have no meaning at the moment
are left out (\`?\`). New fields may come; none goes or changes its meaning as long as \`api\` of \`understudy version\`
stays the same.
`;

const EVENTS = `## Events

\`understudy events\` prints them, one line each; \`--follow\` goes on with each as it happens. They are kept on each host
in \`/var/lib/understudy/events.jsonl\`, some ten thousand of them, and outlive agents, sessions and reboots. Each
host keeps its own: after a takeover look at both.

\`\`\`
$ understudy events web1 --since 10m
2026-11-22 00:30:12.345  web1          backup   state-changed    protected → promoting  Every heartbeat path has been silent for the time-out.
2026-11-22 00:30:12.431  web1          backup   takeover         epoch=1092 term=2 cause=peerLost promoteMs=75.2 …
2026-11-22 00:30:12.432  web1          backup   state-changed    promoting → promoted  The guest runs here from the committed checkpoint.
\`\`\`
`;

const LIVE = `## Live status

\`understudy status --watch\` shows all domains, \`understudy status DOMAIN --watch\` one, again every second (\`--watch 5\`:
every five) until Ctrl-C. On a terminal it is drawn in place; elsewhere each look is a block of lines, and with
\`--json\` a line of JSON. Each picture goes from zero to its greatest value, the newest at the right.

| shown | meaning |
|---|---|
| \`pause\` | how long the guest stands still for a checkpoint, median of the last two seconds |
| \`latency\` | from the first held packet of an epoch to its release, median of the last two seconds |
| \`dirty\` | memory that the guest writes: what has to be copied |
| \`lag\` | age of the newest committed checkpoint: what nobody heard and a takeover would go back |
`;

const COMPLETION = `## Completion

Commands, options, their values and the names of domains:

\`\`\`
source <(understudy completion bash)      # in ~/.bashrc
source <(understudy completion zsh)       # in ~/.zshrc, after compinit
\`\`\`
`;

export function renderCli(line: CommandLine): string {
  return [
    INTRO,
    '## Commands\n',
    fenced('', line.help),
    ...line.commands.map((command) => renderCommand(command, line.answers[command.name])),
    '## Exit codes\n',
    exitCodeTable(line.exitCodes),
    '',
    JSON_INTRO,
    `A failure is \`${line.error.type}\`:\n`,
    example(line.error.example),
    fenced('ts', line.types),
    EVENTS,
    eventTable(line.events),
    '',
    LIVE,
    COMPLETION,
  ].join('\n');
}

function renderCommand(
  { name, help }: CommandLine['commands'][number],
  answers: readonly JsonAnswer[] | 'none' | undefined,
): string {
  const parts = [`### understudy ${name}\n`, fenced('', help)];
  if (answers === undefined || answers === 'none') return parts.join('\n');
  const types = answers.map(({ type }) => type).join('\n');
  parts.push(`\`--json\`:\n`, fenced('ts', types));
  for (const answer of answers) {
    if (answer.example !== undefined) parts.push(example(answer.example));
  }
  return parts.join('\n');
}

function example(value: object): string {
  return fenced('json', JSON.stringify(value, undefined, 2));
}

function fenced(language: string, text: string): string {
  return `\`\`\`${language}\n${text.trimEnd()}\n\`\`\`\n`;
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
