/** Steps that integration tests share, in an operator's words. */
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import type { DomainStatus } from '../../src/agent/status.js';
import type { BeaconReport } from '../../src/lab/beacon-log.js';
import type { HostPair, HostPairOptions } from '../../src/lab/host-pair.js';
import type { Lab } from '../../src/lab/lab.js';
import type { HostName } from '../../src/lab/layout.js';
import type { DiskstampReport, MemstampReport, Witness } from '../../src/lab/witness.js';

const TAKEOVER_TIMEOUT_MS = 60_000;
const CHECKS_TIMEOUT_MS = 60_000;

/**
 * A machine that others share may stand still for a second. Where that is not what a test is about, it is no failure:
 * silence counts after 1.5 s and not after 250 ms.
 */
export const PATIENT_MISSED = 30;
export const PATIENT: HostPairOptions = { heartbeat: { interval: 50, missed: PATIENT_MISSED } };
export const PATIENT_MS = 50 * PATIENT_MISSED;

/** A prefix of its own for each test file, so that one file's leftovers never meet another's. */
export function labPrefix(name: string): string {
  return `ust-${name}`;
}

/** SIGKILL to the QEMU that runs the domain on `host`. */
export async function killQemu(pair: HostPair, host: HostName, domain: string): Promise<void> {
  const { qemuPid } = await pair.agent(host).client.status(domain);
  if (qemuPid === undefined) throw new Error(`${domain} has no QEMU on host ${host}`);
  process.kill(qemuPid, 'SIGKILL');
}

/** The other host runs the domain. */
export async function waitTakeover(
  pair: HostPair,
  host: HostName,
  domain: string,
): Promise<DomainStatus> {
  const over = ({ state }: DomainStatus): boolean => state === 'promoted' || state === 'failed';
  const status = await pair.waitFor(host, domain, over, TAKEOVER_TIMEOUT_MS);
  expect(status.state, status.reason?.message).toBe('promoted');
  return status;
}

/** The domain runs nowhere any more; a standby may be on its way out by itself. */
export async function destroyEverywhere(lab: Lab, domain: string): Promise<void> {
  await eventually(async () => {
    for (const name of ['a', 'b'] as const) {
      const running = (await lab.host(name).virsh('list', '--name')).split('\n');
      if (running.includes(domain)) await lab.host(name).virsh('destroy', domain);
    }
  });
}

/** Repeats `check` until it passes; its last failure after `timeoutMs`. */
export async function eventually(
  check: () => Promise<void>,
  timeoutMs = CHECKS_TIMEOUT_MS,
): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (performance.now() > deadlineMs) throw error;
      await delay(20);
    }
  }
}

/** Waits until the guest has verified all of its stamped pages about once more; returns what it found. */
export async function checksAdvance(witness: Witness, ip: string): Promise<MemstampReport> {
  const first = await witness.memstamp(ip);
  let now = first;
  await eventually(async () => {
    now = await witness.memstamp(ip);
    const done = now.checks >= first.checks + PAGES_PER_ROUND || now.mismatches > 0n;
    if (!done) throw new Error(`${ip} verifies too slowly`);
  });
  return now;
}

/** Output commit: nothing that the outside was told is unknown to the guest. Returns what was heard. */
export async function nothingForgotten(witness: Witness, said = ''): Promise<BeaconReport> {
  const heard = await witness.beacon();
  const { forgotten, firstForgotten: first, packets, missing, late } = heard;
  const which =
    first === undefined
      ? ''
      : `${first.counter} came ${first.sinceNs} ns after ${first.greatest}, the greatest`;
  const counts = `${packets} packets, ${missing} missing, ${late} late`;
  expect(forgotten, `${said} ${which}; ${counts}`).toBe(0);
  return heard;
}

/** 64 MiB of stamped pages. */
const PAGES_PER_ROUND = 16_384n;

/** Waits until diskstamp in the guest has re-read that many blocks more; returns what it found. */
export async function diskChecksAdvance(
  witness: Witness,
  ip: string,
  { checks = DISK_CHECKS, timeoutMs = CHECKS_TIMEOUT_MS } = {},
): Promise<DiskstampReport> {
  const first = await witness.diskstamp(ip);
  let now = first;
  await eventually(async () => {
    now = await witness.diskstamp(ip);
    const done = now.checks >= first.checks + checks || now.mismatches > 0n;
    if (!done) throw new Error(`${ip} verifies its disks too slowly: ${now.checks - first.checks}`);
  }, timeoutMs);
  return now;
}

/** More than there are blocks in two regions of 16 MiB. */
const DISK_CHECKS = 10_000n;
