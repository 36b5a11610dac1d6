/**
 * script/bench: runs one benchmark and prints its figures.
 *
 * With --json the last line is `{"bench":NAME,"rows":[…]}` (harness.ts), without it tables for
 * people; progress goes to standard error in both. Nothing is kept but the plots, if asked for.
 */
import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { printError, printLine } from '../src/cli/output.js';
import * as capture from './capture.js';
import * as disk from './disk.js';
import { benchError } from './errors.js';
import * as failover from './failover.js';
import { type Bench, contractLine, type Table } from './harness.js';
import * as latency from './latency.js';
import * as overhead from './overhead.js';
import { writePlot } from './plot.js';
import { printMeasured, printRows } from './print.js';

const PLOTS = fileURLToPath(new URL('../../docs/benchmarks', import.meta.url));

const BENCHES: Readonly<Record<string, { rows: Bench; parts: readonly string[] }>> = {
  capture,
  disk,
  failover,
  latency,
  overhead,
};

interface Options {
  name: string;
  json: boolean;
  check: boolean;
  plot: boolean;
  quick: boolean;
  only: readonly string[];
}

/** Resolves with the exit code: 0 when measured; with --check, 1 when a row is not ok. */
async function main(options: Options): Promise<number> {
  const bench = BENCHES[options.name];
  if (bench === undefined) {
    const known = Object.keys(BENCHES).join(', ');
    throw benchError('BENCH_UNKNOWN', `no benchmark "${options.name}"; there are: ${known}`);
  }
  const stranger = options.only.find((part) => !bench.parts.includes(part));
  if (stranger !== undefined) {
    const known = bench.parts.join(', ');
    throw benchError('BENCH_UNKNOWN', `"${stranger}" is no part of ${options.name}: ${known}`);
  }
  const tables: Table[] = [];
  const rows = await bench.rows({
    quick: options.quick,
    wants: (part) => options.only.length === 0 || options.only.includes(part),
    say: (text) => process.stderr.write(`${text}\n`),
    table: (table) => tables.push(table),
  });
  if (options.plot) {
    await mkdir(PLOTS, { recursive: true });
    for (const table of tables) await writePlot(table, PLOTS);
  }
  if (options.json) printLine(contractLine(options.name, rows));
  else {
    for (const table of tables) printMeasured(table);
    printRows(rows);
  }
  return options.check && rows.some(({ ok }) => !ok) ? 1 : 0;
}

const parser = yargs(hideBin(process.argv))
  .scriptName('script/bench')
  .command(
    '$0 <name>',
    'measure, here and now',
    (command) =>
      command
        .positional('name', {
          type: 'string',
          demandOption: true,
          describe: `one of: ${Object.keys(BENCHES).join(', ')}`,
        })
        .option('json', { type: 'boolean', default: false, describe: 'last line: rows as JSON' })
        .option('check', { type: 'boolean', default: false, describe: 'exit 1 unless all is ok' })
        .option('plot', { type: 'boolean', default: false, describe: 'draw docs/benchmarks anew' })
        .option('quick', { type: 'boolean', default: false, describe: 'fewer samples' })
        .option('only', { type: 'string', array: true, default: [], describe: 'parts to measure' }),
    async (options) => {
      try {
        process.exitCode = await main(options);
      } catch (error) {
        process.exitCode = printError(error, { json: options.json, debug: true });
      }
    },
  )
  .strict()
  .version(false);

await parser.parseAsync();
