/** The little Markdown that generated documents are made of. Pure. */

export type Cells = readonly string[];

export function code(text: string): string {
  return `\`${text}\``;
}

/** Cells may hold `code`; what else would mean something to Markdown or HTML is escaped. */
export function table(head: Cells, rows: readonly Cells[]): string {
  return [head, head.map(() => '---'), ...rows].map(line).join('\n');
}

function line(cells: Cells): string {
  return `| ${cells.map(escaped).join(' | ')} |`;
}

/** Bars end a cell even inside code; angle brackets are tags outside of it. */
function escaped(cell: string): string {
  const parts = cell.replaceAll('|', '\\|').split('`');
  return parts
    .map((part, index) => (index % 2 === 0 ? part.replaceAll('<', '&lt;') : part))
    .join('`');
}
