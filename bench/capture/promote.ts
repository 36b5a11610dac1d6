/** Real takeovers, there and back again: from the decision to the resumed guest. */
import { setTimeout as delay } from 'node:timers/promises';
import type { DomainStatus, Takeover } from '../../src/agent/status.js';
import type { HostPair } from '../../src/lab/host-pair.js';
import type { HostName } from '../../src/lab/layout.js';
import { benchError } from '../errors.js';
import { type BenchRun, medianOf, type Row, row } from '../harness.js';
import { PROMOTE_MS_MAX, TAKEOVER_TIMEOUT_MS } from '../limits.js';

const DOMAIN = 'promote';
const LOAD = { dirty_pages: 2000, dirty_mib: 8, dirty_period_ms: 10 };
const TAKEOVERS = 9;
const TAKEOVERS_QUICK = 5;
const INTERVAL_MS = 25;
/** Epochs before each death: some tens. */
const PROTECTED_FOR_MS = 1_000;

export async function promoteRows(pair: HostPair, run: BenchRun): Promise<Row[]> {
  await pair.lab.startGuest({ name: DOMAIN, run: ['dirty'], options: LOAD });
  const takeovers: Takeover[] = [];
  const count = run.quick ? TAKEOVERS_QUICK : TAKEOVERS;
  let from: HostName = 'a';
  for (let round = 1; round <= count; round += 1) {
    run.say(`promote: takeover ${round} of ${count}`);
    takeovers.push(await takeover(pair, from));
    from = from === 'a' ? 'b' : 'a';
  }
  await pair.lab.host(from).virsh('destroy', DOMAIN);

  const phase = (name: string) => ({
    name,
    values: takeovers.map(({ phasesMs }) => phasesMs[`${name}Ms`] ?? 0),
  });
  run.table({
    name: 'capture-promote',
    title: 'From the decision to the resumed guest',
    kind: 'bars',
    x: { label: 'takeover', values: takeovers.map((_, index) => index + 1) },
    y: 'time, ms',
    series: [
      { name: 'promote', values: takeovers.map(({ promoteMs }) => promoteMs) },
      phase('apply'),
      phase('resume'),
      { ...phase('load'), reference: true },
    ],
  });
  return [
    row({
      name: 'promote_ms',
      value: medianOf(takeovers, ({ promoteMs }) => promoteMs),
      unit: 'ms',
      floor: medianOf(takeovers, ({ phasesMs }) => phasesMs.loadMs ?? Number.NaN),
      limit: PROMOTE_MS_MAX,
    }),
  ];
}

async function takeover(pair: HostPair, from: HostName): Promise<Takeover> {
  await pair.protect(DOMAIN, { from, intervalMs: INTERVAL_MS });
  await delay(PROTECTED_FOR_MS);
  // On a busy machine protection may have been lost and be on its way back.
  const isProtected = ({ state }: DomainStatus): boolean => state === 'protected';
  const { qemuPid } = await pair.waitFor(from, DOMAIN, isProtected, TAKEOVER_TIMEOUT_MS);
  if (qemuPid === undefined) throw new TypeError('a protected domain has no QEMU');
  process.kill(qemuPid, 'SIGKILL');
  const to = from === 'a' ? 'b' : 'a';
  const isOver = ({ state }: DomainStatus): boolean => state === 'promoted' || state === 'failed';
  const status = await pair.waitFor(to, DOMAIN, isOver, TAKEOVER_TIMEOUT_MS);
  if (status.takeover === undefined) {
    throw benchError('BENCH_NOTHING_MEASURED', `no takeover: ${status.reason?.message}`);
  }
  return status.takeover;
}
