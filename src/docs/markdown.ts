/** The little Markdown that generated documents are made of. Pure. */

export type Cells = readonly string[];

export function code(text: string): string {
  return `\`${text}\``;
}

/** A table; a bar inside a cell is escaped. */
export function table(head: Cells, rows: readonly Cells[]): string {
  return [head, head.map(() => '---'), ...rows].map(line).join('\n');
}

function line(cells: Cells): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}
