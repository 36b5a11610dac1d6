/** Benchmark `disk`: what a mirrored disk costs the guest, what the backup’s apply and a resync cost. */
import { HostPair } from '../src/lab/host-pair.js';
import { Lab } from '../src/lab/lab.js';
import { applyRows } from './disk/apply.js';
import { loadRows } from './disk/load.js';
import { resyncRows } from './disk/resync.js';
import type { BenchRun, Row } from './harness.js';

const PREFIX = 'usbench';

export const parts = ['latency', 'throughput', 'apply', 'resync'] as const;

export async function rows(run: BenchRun): Promise<Row[]> {
  // First, as it wants the machine’s disk for itself and no laboratory.
  const measured = run.wants('apply') ? await applyRows(run) : [];
  const loads = run.wants('latency') || run.wants('throughput');
  if (!loads && !run.wants('resync')) return measured;
  const lab = await Lab.up({ prefix: process.env.UNDERSTUDY_LAB_PREFIX ?? PREFIX });
  try {
    if (loads) measured.push(...(await loadRows(lab, run)));
    if (run.wants('resync')) measured.push(...(await resyncRows(await HostPair.start(lab), run)));
    return measured;
  } finally {
    await lab.down();
  }
}
