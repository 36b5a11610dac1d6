/** Rows and tables for people, on standard output. */
import pc from 'picocolors';
import { printLine, printTable } from '../src/cli/output.js';
import type { Row, Table } from './harness.js';

export function printRows(rows: readonly Row[]): void {
  printTable(
    ['figure', 'value', 'floor', 'limit', ''],
    rows.map(({ name, value, unit, floor, limit, ok }) => {
      const figure = `${figureText(value)} ${unit}`;
      return [
        name,
        ok ? figure : pc.red(figure),
        `${figureText(floor)} ${unit}`,
        `${limit} ${unit}`,
        ok ? pc.green('ok') : pc.red('not within its limit'),
      ];
    }),
  );
}

export function printMeasured({ title, x, y, series }: Table): void {
  printLine(pc.bold(`${title} (${y})`));
  printTable(
    [x.label, ...series.map(({ name }) => name)],
    x.values.map((at, index) => [
      String(at),
      ...series.map(({ values }) => figureText(values[index] ?? Number.NaN)),
    ]),
  );
  printLine();
}

/** Three digits that matter. */
export function figureText(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
