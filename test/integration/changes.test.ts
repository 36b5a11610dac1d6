/** What somebody changes from outside while a domain is protected: its network hold, its devices. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { DomainStatus } from '../../src/agent/status.js';
import { HostPair } from '../../src/lab/host-pair.js';
import { Lab } from '../../src/lab/lab.js';
import type { GuestRecord } from '../../src/lab/state.js';
import { Witness } from '../../src/lab/witness.js';
import {
  destroyEverywhere,
  eventually,
  killQemu,
  labPrefix,
  nothingForgotten,
  PATIENT,
  waitTakeover,
} from './lab-steps.js';

const PREFIX = labPrefix('ch');

describe('a protected domain', () => {
  let lab: Lab;
  let pair: HostPair;
  let witness: Witness;
  let guest: GuestRecord;
  let number = 0;

  beforeAll(async () => {
    lab = await Lab.up({ prefix: PREFIX });
    pair = await HostPair.start(lab, PATIENT);
  });
  afterAll(() => Lab.tearDown(PREFIX));

  beforeEach(async () => {
    number += 1;
    witness = await Witness.start(lab.client);
    guest = await lab.startGuest({
      name: `change${number}`,
      // Its root bus takes devices while it runs.
      machine: 'pc',
      run: ['beacon', 'memstamp'],
      options: { beacon_hz: 500, memstamp_mib: 4 },
    });
    await pair.protect(guest.name);
  });
  afterEach(async () => {
    await witness.close();
    await destroyEverywhere(lab, guest.name);
  });

  const status = (): Promise<DomainStatus> => pair.agent('a').client.status(guest.name);

  async function taps(): Promise<string[]> {
    const list = await lab.host('a').virsh('domiflist', guest.name);
    return [...list.matchAll(/vnet\d+/g)].map(([tap]) => tap);
  }

  async function protectedAgain(after: DomainStatus): Promise<DomainStatus> {
    let now = after;
    await eventually(async () => {
      now = await status();
      expect(now.state, now.reason?.message).toBe('protected');
      expect(now.since > after.since).toBe(true);
    });
    return now;
  }

  it('has its output held again when somebody takes the redirect away, and a checkpoint covers what left', async () => {
    const before = await status();
    const [tap = ''] = await taps();
    await lab.host('a').exec('tc', ['filter', 'del', 'dev', tap, 'ingress']);
    const after = await protectedAgain(before);
    expect(after.warnings?.join('\n')).toMatch(/unheld/);
    const filters = await lab.host('a').exec('tc', ['filter', 'show', 'dev', tap, 'ingress']);
    expect(filters.stdout).toMatch(/redirect/i);
    await killQemu(pair, 'a', guest.name);
    await waitTakeover(pair, 'b', guest.name);
    await eventually(async () => expect((await witness.beacon()).packets).toBeGreaterThan(0));
    await nothingForgotten(witness);
  });

  it('is protected anew, all of it, when a card is plugged in', async () => {
    const first = await status();
    const card = ['--type', 'bridge', '--source', 'br0', '--model', 'virtio'];
    await lab.host('a').virsh('attach-interface', guest.name, ...card, '--live');
    const two = await protectedAgain(first);
    expect(await taps()).toHaveLength(2);
    const links = await lab.host('a').exec('ip', ['-o', 'link']);
    expect(links.stdout.match(/: usb-vnet\d+/g)).toHaveLength(2);
    expect(two.epochs?.committed).toBeGreaterThan(first.epochs?.committed ?? 0);

    await killQemu(pair, 'a', guest.name);
    await waitTakeover(pair, 'b', guest.name);
    await eventually(async () => expect((await witness.memstamp(guest.ip)).mismatches).toBe(0n));
    await nothingForgotten(witness);
  });

  it('ends being protected, and runs on, when what is plugged in cannot be', async () => {
    const disk = `${lab.host('a').runDir}/run/transient.raw`;
    await lab.host('a').exec('truncate', ['-s', '16M', disk]);
    const options = ['--targetbus', 'virtio', '--mode', 'shareable', '--live'];
    await lab.host('a').virsh('attach-disk', guest.name, disk, 'vdb', ...options);
    const ended = await pair.waitFor(
      'a',
      guest.name,
      ({ state }) => state === 'unprotected',
      20_000,
    );
    expect(ended.reason?.code).toBe('AGENT_REFUSED_BY_CHECK');
    const { packets } = await witness.beacon();
    await eventually(async () => expect((await witness.beacon()).packets).toBeGreaterThan(packets));
    expect(await lab.host('b').virsh('list', '--name')).not.toContain(guest.name);
  });
});
