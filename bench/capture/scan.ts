/**
 * How long the scan of a guest with little dirty takes, by size of its RAM.
 *
 * RAM that was touched before tracking lies in huge pages, which are scanned whole. A write under
 * tracking splits its huge page for good, so a guest that runs for long ends with base pages
 * everywhere: that is the figure that counts. The load writes nearly all of RAM once per period.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Lab } from '../../src/lab/lab.js';
import { type NativeCapture, native } from '../../src/native.js';
import { consoleLine } from '../console.js';
import { benchError } from '../errors.js';
import { BenchGuest, type TrackedGuest } from '../guest.js';
import { type BenchRun, median, medianOf, type Row, row } from '../harness.js';
import {
  LITTLE_DIRTY_PAGES,
  PAUSE_EVERY_MS,
  REWRITE_TIMEOUT_MS,
  SCAN_MS_PER_GIB_MAX,
} from '../limits.js';

const GIB = 1024 ** 3;
const SIZES_MIB = [256, 512, 1024, 2048, 4096];
const SIZES_QUICK_MIB = [256, 1024];
const SAMPLES = 60;
/** Longer than attaching to and reading 4 GiB takes. */
const REWRITE_PERIOD_MS = 20_000;
/** The guest’s kernel and its programs, before and per MiB of RAM (struct page). */
const KERNEL_MIB = 112;
const KERNEL_SHARE = 0.07;
const PAGES_PER_MIB = 256;
/** Page-table entries of one GiB in base pages: what any scan must look at. */
const PTE_BYTES_PER_GIB = 2 * 1024 * 1024;

interface Scans {
  gib: number;
  /** RAM as it was before tracking: huge pages. */
  hugeMs: number;
  /** Every page written since. */
  baseMs: number;
}

export async function scanRows(lab: Lab, run: BenchRun): Promise<Row[]> {
  const scans: Scans[] = [];
  for (const mib of run.quick ? SIZES_QUICK_MIB : SIZES_MIB) {
    run.say(`scan: a guest of ${mib} MiB`);
    scans.push(await measure(lab, mib));
  }
  const floorMs =
    median(await native.memory.measureMemcpy({ bytes: PTE_BYTES_PER_GIB, rounds: 50 })) / 1000;
  run.table({
    name: 'capture-scan',
    title: 'Scan with little dirty, by guest RAM',
    kind: 'lines',
    x: { label: 'guest RAM, GiB', values: scans.map(({ gib }) => gib) },
    y: 'scan, ms',
    series: [
      {
        name: 'every page written since tracking began',
        values: scans.map(({ baseMs }) => baseMs),
      },
      { name: 'untouched since, huge pages', values: scans.map(({ hugeMs }) => hugeMs) },
      { name: 'limit', values: scans.map(({ gib }) => gib * SCAN_MS_PER_GIB_MAX), reference: true },
      {
        name: 'copy of the page-table entries',
        values: scans.map(({ gib }) => gib * floorMs),
        reference: true,
      },
    ],
  });
  const largest = scans.at(-1);
  return [
    row({
      name: 'scan_ms_per_gib',
      value: largest === undefined ? Number.NaN : largest.baseMs / largest.gib,
      unit: 'ms/GiB',
      floor: floorMs,
      limit: SCAN_MS_PER_GIB_MAX,
    }),
  ];
}

async function measure(lab: Lab, mib: number): Promise<Scans> {
  const loadMib = Math.floor(mib - KERNEL_MIB - mib * KERNEL_SHARE);
  const loadPages = loadMib * PAGES_PER_MIB;
  const guest = await BenchGuest.start(lab, {
    name: `scan-${mib}`,
    memoryMib: mib,
    run: ['dirty'],
    options: { dirty_mib: loadMib, dirty_pages: loadPages, dirty_period_ms: REWRITE_PERIOD_MS },
  });
  try {
    await consoleLine(guest.consolePath, /^dirty: /m);
    return await guest.tracked('ram', async (tracked) => {
      const hugeMs = await scanMs(tracked);
      await untilRewritten(tracked, loadPages);
      return { gib: guest.ramBytes / GIB, hugeMs, baseMs: await scanMs(tracked) };
    });
  } finally {
    await guest.destroy();
  }
}

/** Median of epochs with little dirty. */
async function scanMs(tracked: TrackedGuest): Promise<number> {
  const calm = await untilDeadline(tracked, (captures) =>
    captures.filter(isCalm).length < SAMPLES ? undefined : captures.filter(isCalm),
  );
  return medianOf(calm, (capture) => capture.scanUs) / 1000;
}

/** Until the load went once through all its pages, and rests. */
async function untilRewritten(tracked: TrackedGuest, loadPages: number): Promise<void> {
  await untilDeadline(tracked, (captures) => {
    const dirty = captures.reduce((sum, { dirtyPages }) => sum + dirtyPages, 0);
    const last = captures.at(-1);
    return dirty > loadPages && last !== undefined && isCalm(last) ? true : undefined;
  });
}

const isCalm = ({ dirtyPages }: NativeCapture): boolean => dirtyPages < LITTLE_DIRTY_PAGES;

async function untilDeadline<T>(
  tracked: TrackedGuest,
  enough: (captures: readonly NativeCapture[]) => T | undefined,
): Promise<T> {
  const deadlineMs = performance.now() + REWRITE_TIMEOUT_MS;
  const captures: NativeCapture[] = [];
  for (;;) {
    captures.push(await tracked.epoch('live'));
    const found = enough(captures);
    if (found !== undefined) return found;
    if (performance.now() > deadlineMs) {
      throw benchError('BENCH_GUEST_NOT_SETTLED', `not within ${REWRITE_TIMEOUT_MS} ms`);
    }
    await delay(PAUSE_EVERY_MS);
  }
}
