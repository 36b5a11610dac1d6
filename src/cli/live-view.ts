/**
 * What `status --watch` shows: the last minutes of each domain, as lines that fit the terminal. Pure but for its
 * memory of what it was shown.
 */
import type { DomainStatus } from '../agent/status.js';
import { duration } from './moments.js';
import { pc, stateWord } from './output.js';
import { fitted, sparkline } from './sparkline.js';
import { statusLines } from './status-rows.js';

/** Samples kept of each domain: more than any terminal has columns. */
const SAMPLES_MAX = 512;
/** Below this nothing is promised to fit. */
const COLUMNS_MIN = 80;

/** What is drawn, in this order; undefined where there is nothing to measure. */
const MEASURES = {
  pause: {
    head: 'PAUSE ms',
    unit: 'ms',
    about: 'the guest stands still, per epoch',
    of: ({ epochs }: DomainStatus) => epochs?.recent.pauseMs.p50,
  },
  latency: {
    head: 'LATENCY ms',
    unit: 'ms',
    about: 'first held packet to its release',
    of: ({ epochs }: DomainStatus) => {
      const spread = epochs?.recent.latencyMs;
      return spread === undefined || spread.max === 0 ? undefined : spread.p50;
    },
  },
  dirty: {
    head: 'DIRTY MiB/s',
    unit: 'MiB/s',
    about: 'memory that the guest writes',
    of: ({ epochs }: DomainStatus) =>
      epochs === undefined ? undefined : epochs.recent.dirtyBytesPerSecond / 1024 ** 2,
  },
  lag: {
    head: 'LAG ms',
    unit: 'ms',
    about: 'age of the newest committed checkpoint',
    of: ({ epochs }: DomainStatus) => epochs?.recent.lagMs,
  },
} as const;

type Measure = keyof typeof MEASURES;
const MEASURE_NAMES = Object.keys(MEASURES) as Measure[];

/** One moment of one domain. */
type Sample = { readonly [M in Measure]: number | undefined };

export class LiveView {
  readonly #samples = new Map<string, Sample[]>();

  /** Remembers what the domains are like now; of those that are gone nothing is kept. */
  sample(domains: readonly DomainStatus[]): void {
    const present = new Set(domains.map(({ domain }) => domain));
    for (const gone of [...this.#samples.keys()].filter((domain) => !present.has(domain))) {
      this.#samples.delete(gone);
    }
    for (const status of domains) {
      const samples = this.#samples.get(status.domain) ?? [];
      samples.push(sampleOf(status));
      this.#samples.set(status.domain, samples.slice(-SAMPLES_MAX));
    }
  }

  /** All domains, one line each under one line of heads. */
  table(domains: readonly DomainStatus[], columns: number): string[] {
    if (domains.length === 0) return ['no domain is protected on this host'];
    // Four measures, each with a blank before it, in what the first three columns leave.
    const forMeasure = Math.floor((Math.max(columns, COLUMNS_MIN) - FIRST_COLUMNS) / 4) - 1;
    const heads = MEASURE_NAMES.map((name) => MEASURES[name].head.padStart(forMeasure));
    const head = `${fitted('DOMAIN', 12)} ${'ROLE'.padEnd(7)} ${'STATE'.padEnd(14)}`;
    return [
      pc.dim([head, ...heads].join(' ')),
      ...domains.map((status) => {
        const { domain, role, state } = status;
        const cells = MEASURE_NAMES.map((name) => this.#cell(domain, name, forMeasure));
        const first = `${fitted(domain, 12)} ${role.padEnd(7)} ${stateWord(state, 14)}`;
        return [first, ...cells].join(' ');
      }),
      ...domains.flatMap(({ domain, reason }) =>
        reason === undefined
          ? []
          : [fitted(`${domain}: ${reason.code}: ${reason.message}`, columns).trimEnd()],
      ),
    ];
  }

  /** One domain: its measures, wide, then all that is known of it. */
  domain(status: DomainStatus, columns: number, now = new Date()): string[] {
    const { domain, role, state, since } = status;
    const age = duration(now.getTime() - Date.parse(since));
    const title = `${pc.bold(domain)}  ${role}  ${stateWord(state)} for ${age}`;
    const picture = Math.max(10, columns - MEASURE_COLUMNS);
    const measures = MEASURE_NAMES.map((name) => {
      const values = this.#valuesOf(domain, name);
      const value = `${shortNumber(values.at(-1))} ${MEASURES[name].unit}`;
      return `${name.padEnd(8)}${value.padStart(12)}  ${pc.cyan(sparkline(values, picture))}  ${pc.dim(MEASURES[name].about)}`;
    });
    // The title says these already.
    const rest = statusLines(status, now).filter(
      (line) => !/^(domain|role|state|since):/.test(line),
    );
    return [title, '', ...measures, '', ...rest.map((line) => cutPlain(line, columns))];
  }

  #cell(domain: string, name: Measure, columns: number): string {
    const values = this.#valuesOf(domain, name);
    const number = shortNumber(values.at(-1)).padStart(NUMBER_COLUMNS);
    return `${number} ${pc.cyan(sparkline(values, columns - NUMBER_COLUMNS - 1))}`;
  }

  #valuesOf(domain: string, name: Measure): (number | undefined)[] {
    return (this.#samples.get(domain) ?? []).map((sample) => sample[name]);
  }
}

/** Domain, role and state with blanks between. */
const FIRST_COLUMNS = 12 + 1 + 7 + 1 + 14;
const NUMBER_COLUMNS = 4;
/** Name, value and what it means, around the picture. */
const MEASURE_COLUMNS = 8 + 12 + 2 + 2 + 38;

/** At most four characters: 0.08, 2.4, 130, 12k. */
export function shortNumber(value: number | undefined): string {
  if (value === undefined) return '-';
  if (value >= 9_999.5) return `${Math.min(999, Math.round(value / 1000))}k`;
  if (value >= 99.95) return String(Math.round(value));
  return value >= 9.995 ? value.toFixed(1) : value.toFixed(2);
}

function sampleOf(status: DomainStatus): Sample {
  const values = MEASURE_NAMES.map((name) => [name, MEASURES[name].of(status)]);
  return Object.fromEntries(values) as Sample;
}

/** Long lines would wrap and push what is above out of sight. Colours count for nothing. */
function cutPlain(line: string, columns: number): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the begin of a colour
  const plain = line.replace(/\u001b\[\d+m/g, '');
  return plain.length <= columns ? line : fitted(plain, columns);
}
