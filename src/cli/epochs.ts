/** Where the time of an epoch goes, as a table and as one stacked bar. */
import type { EpochReport } from '../agent/primary/epoch-report.js';
import { PHASE_NAMES, PHASES, type Phase, type Spread } from '../epoch/records.js';
import { mib, pc, printLine, printTable } from './output.js';

/** Columns of a terminal that the bar may fill. */
const BAR_COLUMNS = 72;
/** One letter a phase, so that the bar can be read without colours. */
const LETTERS: Record<Phase, string> = {
  gate: 'g',
  boundary: 'b',
  scan: 's',
  copy: 'c',
  deviceState: 'd',
  encode: 'e',
  ship: 'h',
  prove: 'p',
  commit: 'm',
  release: 'r',
};
const COLOURS: readonly ((text: string) => string)[] = [
  pc.cyan,
  pc.magenta,
  pc.yellow,
  pc.green,
  pc.blue,
  pc.red,
];

export function printEpochs(report: EpochReport): void {
  const { domain, epochs, phases, apartMs, dirtyPages, shippedBytes, releasedPackets } = report;
  if (epochs === 0) {
    printLine(`${domain}: no epoch is committed yet`);
    return;
  }
  printLine(
    `${domain}: the newest ${epochs} epochs, ${apartMs.p50.toFixed(1)} ms apart (median); ` +
      `output waited in ${report.outputWaited}`,
  );
  printLine();
  const row = (name: string, spread: Spread, what: string): string[] => [
    name,
    ...[spread.p50, spread.p99, spread.max].map((us) => us.toFixed(0)),
    what,
  ];
  printTable(
    ['PHASE', 'P50 µs', 'P99 µs', 'MAX µs', 'WHAT'],
    [
      ...PHASE_NAMES.map((phase) =>
        row(`${LETTERS[phase]} ${phase}`, phases[phase], PHASES[phase]),
      ),
      row('pause', report.pause, 'The guest stands still: boundary to device state.'),
      row('total', report.total, 'Decision to release: the phases and what lies between them.'),
      row('waited', report.waited, 'First held packet to decision.'),
    ],
  );
  printLine();
  printLine(stackedBar(phases));
  printLine();
  printLine(
    `per epoch (median): ${dirtyPages.p50} dirty pages, ${mib(shippedBytes.p50)} shipped, ` +
      `${releasedPackets.p50} packets released`,
  );
}

/** Medians to scale, one letter a phase; a phase too short for a column is left out. */
export function stackedBar(phases: Record<Phase, Spread>): string {
  const whole = PHASE_NAMES.reduce((sum, phase) => sum + phases[phase].p50, 0);
  if (whole === 0) return '';
  const parts = PHASE_NAMES.map((phase, index) => {
    const columns = Math.round((phases[phase].p50 / whole) * BAR_COLUMNS);
    const colour = COLOURS[index % COLOURS.length] ?? String;
    return colour(LETTERS[phase].repeat(columns));
  });
  return `|${parts.join('')}| ${(whole / 1000).toFixed(2)} ms`;
}
