/** The report’s timeline: some faults, what both hosts said meanwhile, and how long a client waited. SVG text. Pure. */
import { type Html, html, join } from './html.js';
import { SLICE_MS } from './limits.js';
import type { StateChange } from './state-watch.js';
import type { ChaosFacts, FaultRecord } from './verdict.js';

/** Part of a run, between two moments (Date.now()). */
export interface Span {
  fromMs: number;
  toMs: number;
  records: readonly FaultRecord[];
}

export const FAULTS_PER_ROW = 5;

const WIDTH = 760;
const LEFT = 56;
const RIGHT = 8;
const MARKS_HEIGHT = 22;
const LANE_HEIGHT = 20;
const LANE_GAP = 4;
const PLOT_HEIGHT = 90;
const AXIS_HEIGHT = 18;
/** Time axis: at most so many ticks. */
const TICKS_MAX = 8;
const TICK_STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600];
/** Latency, logarithmic. */
const LATENCY_MS = [1, 10_000] as const;
const LATENCY_TICKS_MS = [1, 10, 100, 1_000, 10_000];
/** A state’s name is written where its bar has room for it. */
const LETTER_WIDTH = 6.2;

/** Rows of FAULTS_PER_ROW faults each, which follow each other without a hole. */
export function spansOf({ records, startedAt, endedAt }: ChaosFacts): Span[] {
  const begin = (record: FaultRecord | undefined): number | undefined =>
    record?.injectedAt === undefined ? undefined : Date.parse(record.injectedAt) - record.afterMs;
  const spans: Span[] = [];
  for (let at = 0; at < Math.max(1, records.length); at += FAULTS_PER_ROW) {
    const fromMs = spans.at(-1)?.toMs ?? Date.parse(startedAt);
    const next = begin(records[at + FAULTS_PER_ROW]);
    const toMs = Math.max(fromMs + 1, next ?? Date.parse(endedAt));
    spans.push({ fromMs, toMs, records: records.slice(at, at + FAULTS_PER_ROW) });
  }
  return spans;
}

export function timelineSvg(facts: ChaosFacts, span: Span): Html {
  const scale = (ms: number): number => {
    const part = (ms - span.fromMs) / (span.toMs - span.fromMs);
    return LEFT + Math.min(1, Math.max(0, part)) * (WIDTH - LEFT - RIGHT);
  };
  const lanesTop = MARKS_HEIGHT;
  const plotTop = lanesTop + facts.hosts.length * (LANE_HEIGHT + LANE_GAP) + LANE_GAP;
  const plotBottom = plotTop + PLOT_HEIGHT;
  const height = plotBottom + AXIS_HEIGHT;
  const numbers = span.records.map(({ number }) => number);
  return html`<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="Faults ${numbers.join(', ')}">
${join(span.records.map((record) => mark(record, scale, plotBottom)))}
${join(
  facts.hosts.map((host, index) =>
    lane({ host, top: lanesTop + index * (LANE_HEIGHT + LANE_GAP) }, facts.changes, span, scale),
  ),
)}
${latency(facts, span, { scale, top: plotTop, bottom: plotBottom })}
${axis(span, scale, plotBottom, Date.parse(facts.startedAt))}
</svg>`;
}

type Scale = (ms: number) => number;

/** From the fault to its end, and its number above. */
function mark(
  { number, note, injectedAt, mendedAt, failure }: FaultRecord,
  scale: Scale,
  bottom: number,
): Html {
  if (injectedAt === undefined) return html``;
  const x = scale(Date.parse(injectedAt));
  const end = scale(Date.parse(mendedAt ?? injectedAt));
  const kind = failure === undefined ? 'fault' : 'fault bad';
  return html`<g class="${kind}"><title>${number}. ${note}</title><rect x="${px(x)}" y="${MARKS_HEIGHT - 4}" width="${px(Math.max(1.5, end - x))}" height="${bottom - MARKS_HEIGHT + 4}"/><text x="${px(x)}" y="${MARKS_HEIGHT - 8}">${number}</text></g>`;
}

function lane(
  { host, top }: { host: string; top: number },
  changes: readonly StateChange[],
  span: Span,
  scale: Scale,
): Html {
  const own = changes.filter((change) => change.host === host);
  const bars = own.flatMap((change, index) => {
    const untilMs = own[index + 1]?.atMs ?? span.toMs;
    if (untilMs < span.fromMs || change.atMs > span.toMs) return [];
    const [x, end] = [scale(change.atMs), scale(untilMs)];
    const width = end - x;
    const says = `${change.state}${change.code === undefined ? '' : ` ${change.code}`}`;
    const shown = change.state.length * LETTER_WIDTH < width ? change.state : '';
    return [
      html`<g class="state s-${stateClass(change.state)}"><title>${says}</title><rect x="${px(x)}" y="${top}" width="${px(Math.max(0.5, width))}" height="${LANE_HEIGHT}"/><text x="${px(x + 4)}" y="${top + LANE_HEIGHT - 6}">${shown}</text></g>`,
    ];
  });
  return html`<text class="label" x="0" y="${top + LANE_HEIGHT - 6}">host ${host}</text>${join(bars)}`;
}

/** The last word of "primary protected"; `no answer` is a class of its own. */
export function stateClass(state: string): string {
  return state === 'no answer' ? 'silent' : (state.split(' ').at(-1) ?? 'silent');
}

function latency(
  { slices }: ChaosFacts,
  span: Span,
  { scale, top, bottom }: { scale: Scale; top: number; bottom: number },
): Html {
  const [lowest, highest] = LATENCY_MS.map(Math.log10) as [number, number];
  const y = (ms: number): number => {
    const part = (Math.log10(Math.max(ms, LATENCY_MS[0])) - lowest) / (highest - lowest);
    return bottom - Math.min(1, part) * (bottom - top);
  };
  const within = slices.filter(({ atMs }) => atMs >= span.fromMs && atMs < span.toMs);
  const bars = within.map(
    ({ atMs, slowestMs }) => `M${px(scale(atMs + SLICE_MS / 2))} ${bottom}V${px(y(slowestMs))}`,
  );
  const width = Math.max(1, scale(span.fromMs + SLICE_MS) - LEFT - 0.3);
  const ticks = LATENCY_TICKS_MS.map((ms) => {
    const at = px(y(ms));
    const label = ms < 1_000 ? `${ms} ms` : `${ms / 1_000} s`;
    return html`<path class="grid" d="M${LEFT} ${at}H${WIDTH - RIGHT}"/><text class="tick" x="${LEFT - 4}" y="${at}" dy="3" text-anchor="end">${label}</text>`;
  });
  return html`${join(ticks)}<path class="latency" stroke-width="${px(width)}" d="${bars.join('')}"/>`;
}

function axis(span: Span, scale: Scale, bottom: number, startMs: number): Html {
  const [fromS, toS] = [(span.fromMs - startMs) / 1_000, (span.toMs - startMs) / 1_000];
  const stepS = TICK_STEPS_S.find((step) => (toS - fromS) / step <= TICKS_MAX) ?? 3_600;
  const ticks: Html[] = [];
  for (let atS = Math.ceil(fromS / stepS) * stepS; atS <= toS; atS += stepS) {
    const x = px(scale(startMs + atS * 1_000));
    const clock = `${Math.floor(atS / 60)}:${String(atS % 60).padStart(2, '0')}`;
    ticks.push(
      html`<path class="grid" d="M${x} ${bottom}v4"/><text class="tick" x="${x}" y="${bottom + 15}" text-anchor="middle">${clock}</text>`,
    );
  }
  return html`<path class="axis" d="M${LEFT} ${bottom}H${WIDTH - RIGHT}"/>${join(ticks)}`;
}

const px = (value: number): string => value.toFixed(1);
