/** The failover table as docs/states.md: guarantees, one diagram and one table per role. Pure. */
import type { Role, State } from '../failover/states.js';
import type { Row } from '../failover/table.js';
import { type Cells, code, table } from './markdown.js';

export interface StateMachine {
  readonly states: Readonly<Record<string, string>>;
  readonly events: Readonly<Record<string, string>>;
  readonly actions: Readonly<Record<string, string>>;
  readonly rows: readonly Row[];
}

const INTRO = `# States

A session is one domain on one host in one role. What it does next is decided by one table and
nothing else: role, state and event give the next state and the actions. What has no row is refused
with \`FAILOVER_NOT_NOW\`. The order of the rows carries no meaning.

This file is made from \`src/failover/table.ts\` by \`script/docs\`; do not edit it.
`;

const ROLES: readonly { role: Role; title: string }[] = [
  { role: 'primary', title: 'Primary: the host that runs the domain' },
  { role: 'backup', title: 'Backup: the host that keeps its standby' },
];

export function renderStates({ states, events, actions, rows }: StateMachine): string {
  return [
    INTRO,
    '## What each state guarantees\n',
    definitions('State', 'Guarantee', states),
    ...ROLES.map(({ role, title }) =>
      renderRole(
        title,
        rows.filter((row) => row.role === role),
      ),
    ),
    '## Events\n',
    definitions('Event', 'What happened', events),
    '## Actions\n',
    'They run in the order in which a row names them.\n',
    definitions('Action', 'What is done', actions),
  ].join('\n');
}

function renderRole(title: string, rows: readonly Row[]): string {
  const cells = rows.map(
    ({ from, event, to, because, actions }): Cells => [
      from.map(code).join(', '),
      code(event),
      code(to),
      because,
      actions.map(code).join(', ') || 'none',
    ],
  );
  return [
    `## ${title}\n`,
    diagram(rows),
    table(['From', 'Event', 'To', 'Because', 'Actions'], cells),
    '',
  ].join('\n');
}

/** One arrow for each pair of states, labelled with every event that leads along it. */
function diagram(rows: readonly Row[]): string {
  const labels = new Map<string, string[]>();
  for (const { from, event, to } of rows) {
    for (const state of from) {
      const arrow = arrowOf(state, to);
      labels.set(arrow, [...(labels.get(arrow) ?? []), event]);
    }
  }
  const arrows = [...labels].map(([arrow, events]) => `  ${arrow}: ${events.join(', ')}`);
  const head = ['```mermaid', 'stateDiagram-v2', `  ${arrowOf('[*]', 'unprotected')}`];
  return [...head, ...arrows, '```', ''].join('\n');
}

function arrowOf(from: State | '[*]', to: State): string {
  return `${from} --> ${to}`;
}

function definitions(
  name: string,
  meaning: string,
  words: Readonly<Record<string, string>>,
): string {
  const rows = Object.entries(words).map(([word, text]): Cells => [code(word), text]);
  return `${table([name, meaning], rows)}\n`;
}
