/** Benchmark `failover`: how long a client waits when a domain changes hosts, planned and unplanned. */
import { ClientProcess } from '../src/lab/demo/client-process.js';
import { HostPair } from '../src/lab/host-pair.js';
import { Lab } from '../src/lab/lab.js';
import { switchoverRows } from './failover/switchover.js';
import { takeoverRows } from './failover/takeover.js';
import { Wanderer } from './failover/wanderer.js';
import type { BenchRun, Row } from './harness.js';

const PREFIX = 'usbench';
const DOMAIN = 'wanderer';

export const parts = ['switchover', 'takeover'] as const;

export async function rows(run: BenchRun): Promise<Row[]> {
  const lab = await Lab.up({ prefix: process.env.UNDERSTUDY_LAB_PREFIX ?? PREFIX });
  try {
    const pair = await HostPair.start(lab);
    const guest = await lab.startGuest({ name: DOMAIN, define: true, run: ['redis', 'beacon'] });
    const client = await ClientProcess.start(lab, guest.ip);
    await pair.protect(DOMAIN, { recovery: 'automatic' });
    const wanderer = new Wanderer(pair, client, DOMAIN);
    const measured: Row[] = [];
    if (run.wants('switchover')) measured.push(...(await switchoverRows(wanderer, run)));
    if (run.wants('takeover')) measured.push(...(await takeoverRows(wanderer, run)));
    return measured;
  } finally {
    await lab.down();
  }
}
