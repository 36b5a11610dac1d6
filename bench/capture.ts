/** Benchmark `capture`: what protecting a guest’s memory costs, from the pause to the promotion. */
import { HostPair } from '../src/lab/host-pair.js';
import { Lab } from '../src/lab/lab.js';
import { pauseRows } from './capture/pause.js';
import { promoteRows } from './capture/promote.js';
import { scanRows } from './capture/scan.js';
import { syncRows } from './capture/sync.js';
import type { BenchRun, Row } from './harness.js';

const PREFIX = 'usbench';

export const parts = ['pause', 'scan', 'promote', 'sync'] as const;

export async function rows(run: BenchRun): Promise<Row[]> {
  const lab = await Lab.up({ prefix: process.env.UNDERSTUDY_LAB_PREFIX ?? PREFIX });
  try {
    const measured: Row[] = [];
    if (run.wants('pause')) measured.push(...(await pauseRows(lab, run)));
    if (run.wants('scan')) measured.push(...(await scanRows(lab, run)));
    if (!run.wants('promote') && !run.wants('sync')) return measured;
    const pair = await HostPair.start(lab);
    if (run.wants('promote')) measured.push(...(await promoteRows(pair, run)));
    if (run.wants('sync')) measured.push(...(await syncRows(pair, run)));
    return measured;
  } finally {
    await lab.down();
  }
}
