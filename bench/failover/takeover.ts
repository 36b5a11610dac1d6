/** Unplanned: the primary's host loses power, and comes back after the takeover. */
import type { HostName } from '../../src/lab/layout.js';
import { type BenchRun, median, medianOf, type Row, row } from '../harness.js';
import { TAKEOVER_OVER_TIMEOUT_MS_MAX } from '../limits.js';
import type { Change, Wanderer } from './wanderer.js';

const TAKEOVERS = 20;
const TAKEOVERS_QUICK = 2;

interface Death extends Change {
  /** From the host's death to the resumed guest, ms. */
  tookMs: number;
}

export async function takeoverRows(wanderer: Wanderer, run: BenchRun): Promise<Row[]> {
  const { pair, domain } = wanderer;
  const { heartbeat } = await pair.agent(wanderer.at).client.status(domain);
  const timeoutMs = heartbeat?.timeoutMs ?? Number.NaN;
  const deaths: Death[] = [];
  const count = run.quick ? TAKEOVERS_QUICK : TAKEOVERS;
  for (let round = 1; round <= count; round += 1) {
    run.say(`takeover ${round} of ${count}, host ${wanderer.at} dies`);
    let diedAtMs = Number.NaN;
    const kill = async (from: HostName): Promise<void> => {
      diedAtMs = Number((await pair.lab.killHost(from)).diedAtNs) / 1e6;
    };
    const change = await wanderer.go(kill, (from) => pair.bootHost(from));
    deaths.push({ ...change, tookMs: change.takeover.resumedAtMs - diedAtMs });
  }
  run.table({
    name: 'failover-takeover',
    title: `Takeover after a host's death, heartbeat timeout ${timeoutMs} ms`,
    kind: 'bars',
    x: { label: 'takeover', values: deaths.map((_, index) => index + 1) },
    y: 'time, ms',
    series: [
      { name: 'death to resumed guest', values: deaths.map(({ tookMs }) => tookMs) },
      { name: 'longest wait for an answer', values: deaths.map(({ gapMs }) => gapMs) },
      { name: 'timeout', values: deaths.map(() => timeoutMs), reference: true },
    ],
  });
  return [
    row({
      name: 'takeover_over_timeout_ms',
      value: median(deaths.map(({ tookMs }) => tookMs - timeoutMs)),
      unit: 'ms',
      floor: medianOf(deaths, ({ takeover }) => takeover.promoteMs),
      limit: TAKEOVER_OVER_TIMEOUT_MS_MAX,
    }),
  ];
}
