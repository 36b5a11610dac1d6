/** The agent ends in any way, and another one takes its place: sessions go on, and are found again. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { DomainStatus } from '../../src/agent/status.js';
import { HostPair } from '../../src/lab/host-pair.js';
import { Lab } from '../../src/lab/lab.js';
import type { HostName } from '../../src/lab/layout.js';
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

const PREFIX = labPrefix('ar');

describe('an agent that is killed and started again', () => {
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
    guest = await lab.startGuest({ name: `adopted ${number}`, run: ['beacon'] });
    await pair.protect(guest.name);
  });
  afterEach(async () => {
    try {
      await nothingForgotten(witness);
    } finally {
      await witness.close();
      await destroyEverywhere(lab, guest.name);
    }
  });

  const status = (host: HostName): Promise<DomainStatus> =>
    pair.agent(host).client.status(guest.name);

  it('goes on with its sessions, on both hosts, and through a takeover', async () => {
    const [before, standby] = [await status('a'), await status('b')];
    await pair.restartAgent('a');
    await pair.restartAgent('b');
    expect(await pair.agent('a').client.list()).toHaveLength(1);
    expect(await status('a')).toMatchObject({ state: 'protected', sessionPid: before.sessionPid });
    expect(await status('b')).toMatchObject({ role: 'backup', sessionPid: standby.sessionPid });
    const { epoch } = await pair.agent('a').client.checkpoint(guest.name, true);
    expect(epoch).toBeGreaterThan(before.epochs?.committed ?? 0);

    await killQemu(pair, 'a', guest.name);
    await waitTakeover(pair, 'b', guest.name);
    await pair.restartAgent('b');
    expect((await status('b')).state).toBe('promoted');
    // The other way round: the session of the takeover makes room, the old primary's is over.
    await pair.protect(guest.name, { from: 'b' });
    expect((await status('b')).state).toBe('protected');
  });

  it('ends protection that it did not begin', async () => {
    await pair.restartAgent('a');
    await pair.restartAgent('b');
    await pair.agent('a').client.unprotect(guest.name, false);
    await eventually(async () => {
      expect(await lab.host('b').virsh('list', '--name')).not.toContain(guest.name);
    });
    expect(await lab.host('a').virsh('list', '--name')).toContain(guest.name);
  });

  it('says what died while it was away, and lets the guest be freed by hand', async () => {
    const { sessionPid } = await status('a');
    await pair.restartAgent('a', async () => {
      process.kill(sessionPid, 'SIGKILL');
    });
    const dead = await status('a');
    expect(dead).toMatchObject({ role: 'primary', state: 'failed' });
    expect(dead.reason).toMatchObject({ code: 'AGENT_SESSION_DIED' });
    // Nothing of it is heard any more: the backup takes over.
    await waitTakeover(pair, 'b', guest.name);
    await lab.host('a').virsh('destroy', guest.name);
  });

  it('notices when a session ends that it did not start', async () => {
    await pair.restartAgent('b');
    const { sessionPid } = await status('b');
    const since = new Date();
    process.kill(sessionPid, 'SIGKILL');
    await eventually(async () => {
      expect((await status('b')).reason).toMatchObject({ code: 'AGENT_SESSION_DIED' });
      expect(await lab.host('b').virsh('list', '--name')).not.toContain(guest.name);
    });
    await pair.waitEntered('a', guest.name, 'degraded', { since, timeoutMs: 20_000 });
    await pair.agent('a').client.unprotect(guest.name, true);
  });
});
