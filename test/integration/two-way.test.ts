/** Several domains on one pair of hosts at the same time, protected in both directions. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HostPair } from '../../src/lab/host-pair.js';
import { Lab } from '../../src/lab/lab.js';
import type { HostName } from '../../src/lab/layout.js';
import type { GuestRecord } from '../../src/lab/state.js';
import { Witness } from '../../src/lab/witness.js';
import {
  checksAdvance,
  eventually,
  killQemu,
  labPrefix,
  PATIENT,
  waitTakeover,
} from './lab-steps.js';

const PREFIX = labPrefix('tw');
const DOMAINS: readonly { name: string; on: HostName }[] = [
  { name: 'east1', on: 'a' },
  { name: 'east2', on: 'a' },
  { name: 'west1', on: 'b' },
];
const otherOf = (host: HostName): HostName => (host === 'a' ? 'b' : 'a');

describe('two hosts that protect each other’s domains', () => {
  let lab: Lab;
  let pair: HostPair;
  let witness: Witness;
  const guests = new Map<string, GuestRecord>();

  beforeAll(async () => {
    lab = await Lab.up({ prefix: PREFIX });
    pair = await HostPair.start(lab, PATIENT);
    witness = await Witness.start(lab.client);
    for (const { name, on } of DOMAINS) {
      const options = { memstamp_mib: 64, memstamp_writes: 500 };
      guests.set(name, await lab.startGuest({ name, run: ['memstamp'], options }, on));
    }
  });
  afterAll(async () => {
    await witness.close();
    await Lab.tearDown(PREFIX);
  });

  const ipOf = (name: string): string => guests.get(name)?.ip ?? '';

  it('are primary of some and backup of others at once', async () => {
    await Promise.all(DOMAINS.map(({ name, on }) => pair.protect(name, { from: on })));
    for (const host of ['a', 'b'] as const) {
      const statuses = await pair.agent(host).client.list();
      const roles = new Map(
        statuses.map(({ domain, role, state }) => [domain, `${role} ${state}`]),
      );
      for (const { name, on } of DOMAINS) {
        expect(roles.get(name)).toBe(`${on === host ? 'primary' : 'backup'} protected`);
      }
    }
    for (const { name } of DOMAINS) {
      expect((await checksAdvance(witness, ipOf(name))).mismatches).toBe(0n);
    }
  });

  it('take over one domain of each other without a trace in the rest', async () => {
    const before = await pair.agent('a').client.status('east2');
    await killQemu(pair, 'a', 'east1');
    await killQemu(pair, 'b', 'west1');
    await Promise.all([waitTakeover(pair, 'b', 'east1'), waitTakeover(pair, 'a', 'west1')]);
    for (const { name } of DOMAINS) {
      expect((await checksAdvance(witness, ipOf(name))).mismatches).toBe(0n);
    }
    const after = await pair.agent('a').client.status('east2');
    expect(after).toMatchObject({ state: 'protected', since: before.since });
    expect(after.epochs?.committed).toBeGreaterThan(before.epochs?.committed ?? 0);
  });

  it('lose a whole host, and every domain runs on the other', async () => {
    const protectedBy: HostName = 'a';
    await pair.protect('west1', { from: protectedBy });
    await lab.killHost(protectedBy);
    await Promise.all(
      ['east2', 'west1'].map((name) => waitTakeover(pair, otherOf(protectedBy), name)),
    );
    for (const { name } of DOMAINS) {
      await eventually(async () =>
        expect((await checksAdvance(witness, ipOf(name))).mismatches).toBe(0n),
      );
    }
  });
});
