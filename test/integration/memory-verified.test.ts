/**
 * Exactly the checkpoint: a guest that verifies its own memory all the time goes from host to host,
 * losing its primary each time, without ever finding a wrong page. And the proof that it would:
 * one dirty range left out on purpose.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DomainStatus } from '../../src/agent/status.js';
import { HostPair } from '../../src/lab/host-pair.js';
import { Lab } from '../../src/lab/lab.js';
import type { HostName } from '../../src/lab/layout.js';
import type { GuestRecord } from '../../src/lab/state.js';
import { Witness } from '../../src/lab/witness.js';
import {
  checksAdvance,
  killQemu,
  labPrefix,
  nothingForgotten,
  PATIENT,
  waitTakeover,
} from './lab-steps.js';

const TAKEOVERS = 10;
/** By then the fault, which strikes every tenth epoch, has left out several ranges. */
const STRUCK_EPOCH = 50;
const STRUCK_TIMEOUT_MS = 30_000;
const PREFIX = labPrefix('mv');

describe('a guest that verifies its own memory', () => {
  let lab: Lab;
  let pair: HostPair;
  let witness: Witness;

  beforeAll(async () => {
    lab = await Lab.up({ prefix: PREFIX });
    pair = await HostPair.start(lab, PATIENT);
    witness = await Witness.start(lab.client);
  });
  afterAll(async () => {
    await witness?.close();
    await Lab.tearDown(PREFIX);
  });

  function startGuest(name: string): Promise<GuestRecord> {
    const options = {
      memstamp_mib: 64,
      memstamp_threads: 2,
      memstamp_writes: 64,
      memstamp_tick_ms: 5,
    };
    return lab.startGuest({ name, vcpus: 2, run: ['memstamp', 'beacon'], options });
  }

  it(`goes through ${TAKEOVERS} takeovers without a wrong page`, async () => {
    const guest = await startGuest('verified');
    const promotions: number[] = [];
    let from: HostName = 'a';
    for (let round = 0; round < TAKEOVERS; round += 1) {
      const to: HostName = from === 'a' ? 'b' : 'a';
      await pair.protect(guest.name, { from, intervalMs: 25 });
      await checksAdvance(witness, guest.ip);
      await killQemu(pair, from, guest.name);
      const { takeover } = await waitTakeover(pair, to, guest.name);
      promotions.push(takeover?.promoteMs ?? Number.NaN);
      const report = await checksAdvance(witness, guest.ip);
      expect(report.mismatches, `after takeover ${round + 1}`).toBe(0n);
      from = to;
    }
    const heard = await nothingForgotten(witness);
    promotions.sort((a, b) => a - b);
    console.log(
      `promotion of ${TAKEOVERS}: median ${promotions[TAKEOVERS / 2]?.toFixed(1)} ms; ` +
        `${heard.packets} packets heard, ${heard.late} of them late`,
    );
    await lab.host(from).virsh('destroy', guest.name);
  });

  it('finds a wrong page when one dirty range is left out on purpose', async () => {
    const guest = await startGuest('spoiled');
    await pair.protect(guest.name, { intervalMs: 25, faults: ['drop-range'] });
    const struck = ({ epochs }: DomainStatus): boolean => (epochs?.committed ?? 0) >= STRUCK_EPOCH;
    await pair.waitFor('a', guest.name, struck, STRUCK_TIMEOUT_MS);
    await killQemu(pair, 'a', guest.name);
    await waitTakeover(pair, 'b', guest.name);
    // A guest whose kernel lost a page may not answer at all: that is found as well.
    const report = await checksAdvance(witness, guest.ip).catch(() => undefined);
    expect(report?.mismatches ?? 1n).toBeGreaterThan(0n);
  });
});
