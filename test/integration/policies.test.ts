/** When checkpoints are taken, and what clients notice of it: policies, consistency, checkpoints on demand. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { monotonicMs } from '../../src/clock.js';
import { HostPair } from '../../src/lab/host-pair.js';
import { Lab } from '../../src/lab/lab.js';
import type { GuestRecord } from '../../src/lab/state.js';
import { Witness } from '../../src/lab/witness.js';
import {
  destroyEverywhere,
  eventually,
  labPrefix,
  PATIENT,
  PATIENT_MS,
  waitTakeover,
} from './lab-steps.js';

const PREFIX = labPrefix('po');
/** Far longer than anything else here takes: what is faster did not wait for it. */
const NEVER_MS = 60_000;
const SOON_MS = 2_000;

describe('a protected domain', () => {
  let lab: Lab;
  let pair: HostPair;
  let guest: GuestRecord;
  let witness: Witness;
  let number = 0;

  beforeAll(async () => {
    lab = await Lab.up({ prefix: PREFIX });
    pair = await HostPair.start(lab, PATIENT);
    witness = await Witness.start(lab.client);
  });
  afterAll(async () => {
    await witness.close();
    await Lab.tearDown(PREFIX);
  });

  const start = async (run: readonly ('memstamp' | 'beacon')[]) => {
    number += 1;
    const options = { memstamp_mib: 4, beacon_hz: 500 };
    guest = await lab.startGuest({ name: `policy${number}`, run, options });
  };
  afterEach(() => destroyEverywhere(lab, guest.name));

  /** How long the guest takes to answer one question, ms. */
  async function answerMs(): Promise<number> {
    const askedAtMs = monotonicMs();
    await witness.memstamp(guest.ip, NEVER_MS);
    return monotonicMs() - askedAtMs;
  }

  describe('that says nothing by itself', () => {
    beforeEach(() => start(['memstamp']));

    it('answers at once under the adaptive policy, and is left alone in between', async () => {
      await pair.protect(guest.name, { policy: 'adaptive', maxIntervalMs: NEVER_MS });
      for (let question = 0; question < 5; question += 1) {
        expect(await answerMs()).toBeLessThan(SOON_MS);
      }
      // Neighbour discovery and the like have had their checkpoints.
      await eventually(async () => {
        const before = await pair.agent('a').client.status(guest.name);
        await delay(1_000);
        const after = await pair.agent('a').client.status(guest.name);
        expect(after.epochs?.count).toBe(before.epochs?.count);
      });
      const report = await pair.agent('a').client.epochs(guest.name);
      expect(report.outputWaited).toBeGreaterThanOrEqual(5);
      expect(report.total.p50).toBeGreaterThan(report.pause.p50);
    });

    it('has its present state committed when a checkpoint is asked for', async () => {
      await pair.protect(guest.name, { policy: 'fixed', intervalMs: NEVER_MS });
      const { client } = pair.agent('a');
      const before = (await client.status(guest.name)).epochs?.committed ?? 0;
      const askedAtMs = monotonicMs();
      const { epoch } = await client.checkpoint(guest.name, true);
      expect(monotonicMs() - askedAtMs).toBeLessThan(SOON_MS);
      expect(epoch).toBeGreaterThan(before);
      const backup = await pair.agent('b').client.status(guest.name);
      expect(backup.replica?.committedEpoch).toBe(epoch);
      // Several who ask at once share what begins next.
      const both = await Promise.all([
        client.checkpoint(guest.name, true),
        client.checkpoint(guest.name, true),
      ]);
      expect(both.every((one) => (one.epoch ?? 0) > (epoch ?? 0))).toBe(true);
      await expect(pair.agent('b').client.checkpoint(guest.name, true)).rejects.toMatchObject({
        code: 'AGENT_NO_EPOCHS',
      });
    });

    it('does not wait for checkpoints under timeline, and says so', async () => {
      await pair.protect(guest.name, {
        policy: 'fixed',
        intervalMs: 5_000,
        consistency: 'timeline',
      });
      for (const host of ['a', 'b'] as const) {
        const status = await pair.agent(host).client.status(guest.name);
        expect(status).toMatchObject({ state: 'protected', consistency: 'timeline' });
      }
      for (let question = 0; question < 20; question += 1) {
        expect(await answerMs()).toBeLessThan(SOON_MS);
      }
      const { client } = pair.agent('a');
      expect((await client.status(guest.name)).epochs?.count).toBeLessThan(20);
    });
  });

  describe('that talks without a pause, under timeline,', () => {
    beforeEach(() => start(['beacon']));

    const protectTimeline = () =>
      pair.protect(guest.name, { intervalMs: 100, consistency: 'timeline' });

    async function isHeard(): Promise<boolean> {
      const before = (await witness.beacon()).packets;
      await delay(400);
      return (await witness.beacon()).packets > before;
    }

    it('falls silent by itself when it is cut off, before its backup speaks', async () => {
      await protectTimeline();
      // The guest is still heard: only what it needs to know of its backup is cut.
      await lab.setLink('b', 'repl', false);
      await lab.setLink('b', 'lan', false);
      const cutAtMs = monotonicMs();
      await eventually(async () => expect(await isHeard()).toBe(false));
      expect(monotonicMs() - cutAtMs).toBeLessThan(PATIENT_MS + SOON_MS);
      const promoted = await waitTakeover(pair, 'b', guest.name);
      // The last word of the old one came before the first of the new one could.
      const { lastArrivalNs } = await witness.beacon();
      expect(Number(lastArrivalNs) / 1e6).toBeLessThan(promoted.takeover?.resumedAtMs ?? 0);
      await lab.setLink('b', 'lan', true);
      await lab.setLink('b', 'repl', true);
      await pair.waitFor('a', guest.name, ({ state }) => state === 'fenced', 20_000);
      await eventually(async () => expect(await isHeard()).toBe(true));
    });

    it('is silent on its old host before a failover that an operator asked for', async () => {
      await protectTimeline();
      const promoted = await pair.agent('b').client.failover(guest.name);
      expect(promoted.state).toBe('promoted');
      const { decidedAtMs = 0, resumedAtMs = 0 } = promoted.takeover ?? {};
      // So long the old host may have gone on.
      expect(resumedAtMs - decidedAtMs).toBeGreaterThanOrEqual(PATIENT_MS);
      await pair.waitFor('a', guest.name, ({ state }) => state === 'fenced', 20_000);
      await eventually(async () => expect(await isHeard()).toBe(true));
    });
  });
});
