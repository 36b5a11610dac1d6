/** How the demo is told on a terminal or into a log: one line per event, a bar while memory is copied. */
import { monotonicMs } from '../clock.js';
import { SLICE_MS } from '../lab/demo/conversation.js';
import { type DemoFigures, promiseKept } from '../lab/demo/figures.js';
import type { Narrator } from '../lab/demo/stage.js';
import { mib, ms, pc, printLine, printTable } from './output.js';
import { progressDisplay } from './progress.js';
import { listenerRows, none, stateRows, turnRows } from './scenario-story.js';

export function narrator(): Narrator {
  const startMs = monotonicMs();
  const bar = progressDisplay(process.stderr.isTTY !== true);
  const say = (text: string): void => {
    bar.stop();
    printLine(
      `${pc.dim(`${((monotonicMs() - startMs) / 1000).toFixed(1).padStart(6)} s`)}  ${text}`,
    );
  };
  return {
    phase: (text) => say(/^[A-Z]{3}/.test(text) ? pc.red(text) : pc.bold(text)),
    syncing: (status) => bar.show(status),
    epochs: ({ epochs }, client) => {
      if (epochs === undefined) return;
      const { perSecond, committed, pauseMs, dirtyPages } = epochs;
      say(
        `epoch ${committed}: ${perSecond.toFixed(1)}/s, pause p50 ${ms(pauseMs.p50)} ` +
          `p99 ${ms(pauseMs.p99)}, ${dirtyPages.p50} dirty pages; ` +
          `${client?.ackedWrites ?? 0} writes answered`,
      );
    },
  };
}

const yes = (value: boolean): string => (value ? pc.green('yes') : pc.red('NO'));

export function printFigures(figures: DemoFigures): void {
  const { guest, pause_ms: pause, dirty_pages: dirty, latency_ms: latency } = figures;
  const isKill = figures.scenario === 'kill-primary';
  printLine();
  printLine(latencyStrip(figures.around_kill, isKill ? 'kill' : 'first fault'));
  printLine();
  printTable(
    ['FIGURE', 'VALUE'],
    [
      ['guest', `${guest.memory_mib} MiB, ${guest.vcpus} vCPU, ${guest.machine}`],
      ['sync', `${mib(figures.sync.bytes)} in ${figures.sync.seconds} s`],
      ['epochs', `${figures.epochs}, ${figures.policy}, ${figures.interval_ms} ms apart (median)`],
      ['pause', `p50 ${ms(pause.p50)}, p99 ${ms(pause.p99)}, max ${ms(pause.max)}`],
      ['dirty pages', `p50 ${dirty.p50}, max ${dirty.max}`],
      ['shipped', mib(figures.shipped_bytes)],
      ...(isKill ? killRows(figures) : turnRows(figures)),
      ['a write’s answer, unprotected', latencyWords(latency.unprotected)],
      ['protected', latencyWords(latency.protected)],
      ...(isKill
        ? [['during the takeover', `${ms(figures.outage_ms)} without an answer, once`]]
        : []),
      [isKill ? 'on the new host' : 'in the end', latencyWords(latency.after)],
      ['TCP connection survived', yes(figures.tcp_survived)],
      ['guest went on', yes(figures.guest_uptime_continued)],
      ['writes answered', String(figures.acked_writes)],
      ['of these lost', none(figures.lost_writes)],
      ['packets released too early', none(figures.released_uncommitted_packets)],
      ...listenerRows(figures),
      ...diskRows(figures),
      ...(isKill ? [] : stateRows(figures)),
      ...figures.unseen_states.map((what) => ['expected and not seen', pc.red(what)]),
    ],
  );
  printLine(
    promiseKept(figures)
      ? pc.green('Nothing the outside world was ever told is lost.')
      : pc.red('A promise was broken: see the figures above.'),
  );
}

const killRows = (figures: DemoFigures): [string, string][] => [
  ['kill to detection', ms(figures.detect_ms ?? Number.NaN)],
  ['decision to resumed', ms(figures.promote_ms ?? Number.NaN)],
];

const latencyWords = ({ p50, p99 }: { p50: number; p99: number }): string =>
  `p50 ${ms(p50)}, p99 ${ms(p99)}`;

const BLOCKS = '▁▂▃▄▅▆▇█';

/** The slowest answer of each slice of time around the kill, on a logarithmic scale; a dot where none came. */
export function latencyStrip(slices: DemoFigures['around_kill'], what = 'kill'): string {
  const bars = slices.map(({ at_ms: atMs, answers, slowest_ms: slowestMs }) => {
    // A block for each doubling from 1 ms on.
    const height = Math.min(BLOCKS.length - 1, Math.max(0, Math.round(Math.log2(slowestMs))));
    const bar = answers === 0 ? '·' : (BLOCKS[height] ?? '█');
    return atMs <= 0 && atMs > -SLICE_MS ? `${pc.red('†')}${bar}` : bar;
  });
  return `slowest answer in each ${SLICE_MS} ms († ${what}, · no answer):\n${bars.join('')}`;
}

function diskRows(figures: DemoFigures): [string, string][] {
  if (figures.disk_acked_writes === undefined) return [];
  const rows: [string, string][] = [
    ['writes answered from the disk', String(figures.disk_acked_writes)],
    ['of these not on the replica’s disk', none(figures.disk_lost_writes ?? 0)],
    ['its file system is clean', yes(figures.fsck_clean ?? false)],
  ];
  const oneEpoch = figures.disk_epoch_equals_memory_epoch;
  // Nobody took over where the backup died.
  if (oneEpoch !== undefined) rows.push(['disk and memory of one epoch', yes(oneEpoch)]);
  return rows;
}
