/** The catalogues as docs/errors.md. Pure. */
import type { ErrorArea } from './error-areas.js';
import { type Cells, code, table } from './markdown.js';

const INTRO = `# Codes

Every refusal and every failure has a code that stays the same between versions, a meaning and a
remedy. \`understudy\` prints code, message and remedy; with \`--json\` it prints
\`{"error":{"code","message","remedy"}}\`. The message names the particulars: read it first.

\`INTERNAL\` is the one code that is not in these lists: something was thrown that nobody foresaw.
It is a bug: report it with the log.

This file is made from the catalogues in \`src/\` by \`script/docs\`; do not edit it.
`;

export function renderErrors(areas: readonly ErrorArea[]): string {
  return [INTRO, ...areas.map(renderArea)].join('\n');
}

function renderArea({ title, about, catalogue }: ErrorArea): string {
  const rows = Object.entries(catalogue).map(
    ([name, { meaning, remedy }]): Cells => [code(name), meaning, remedy],
  );
  return [`## ${title}`, '', about, '', table(['Code', 'Meaning', 'What to do'], rows), ''].join(
    '\n',
  );
}
