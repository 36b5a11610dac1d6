/** A backup that cannot run what it holds: the domain goes on where it was, or is started there. */
import { readFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { DomainStatus } from '../../src/agent/status.js';
import { HostPair } from '../../src/lab/host-pair.js';
import { Lab } from '../../src/lab/lab.js';
import type { HostName } from '../../src/lab/layout.js';
import type { GuestRecord } from '../../src/lab/state.js';
import { Witness } from '../../src/lab/witness.js';
import { destroyEverywhere, killQemu, labPrefix, nothingForgotten } from './lab-steps.js';

const PREFIX = labPrefix('pf');
const AGAIN_TIMEOUT_MS = 60_000;

describe('a promotion that fails', () => {
  let lab: Lab;
  let pair: HostPair;
  let witness: Witness;
  let guest: GuestRecord;
  let number = 0;

  beforeAll(async () => {
    lab = await Lab.up({ prefix: PREFIX });
    pair = await HostPair.start(lab);
  });
  afterAll(() => Lab.tearDown(PREFIX));
  beforeEach(async () => {
    number += 1;
    witness = await Witness.start(lab.client);
    guest = await lab.startGuest({ name: `stays ${number}`, define: true, run: ['beacon'] });
    await pair.protect(guest.name, { recovery: 'automatic', faults: ['spoil-state'] });
  });
  afterEach(async () => {
    await witness.close();
    await pair.agent('a').client.unprotect(guest.name, true);
    await destroyEverywhere(lab, guest.name);
  });

  const waitFor = (host: HostName, wanted: (status: DomainStatus) => boolean) =>
    pair.waitFor(host, guest.name, wanted, AGAIN_TIMEOUT_MS);
  const protectedAgain = (term: number): Promise<DomainStatus> =>
    waitFor('a', (now) => now.role === 'primary' && now.state === 'protected' && now.term > term);
  const isRunning = async (host: HostName): Promise<boolean> =>
    (await lab.host(host).virsh('list', '--state-running', '--name')).includes(guest.name);

  it('leaves a domain that was to be moved where it runs, nothing forgotten', async () => {
    const { client } = pair.agent('a');
    const { qemuPid, term } = await client.status(guest.name);
    const moved = client.switchover(guest.name);
    await expect(moved).rejects.toMatchObject({ code: 'AGENT_SWITCHOVER_FAILED' });
    // The backup's term lies between.
    const now = await protectedAgain(term + 1);
    expect(now.qemuPid).toBe(qemuPid);
    expect(now.takeover).toBeUndefined();
    expect(await isRunning('b')).toBe(false);
    const heard = (await witness.beacon()).packets;
    await expect.poll(async () => (await witness.beacon()).packets).toBeGreaterThan(heard);
    await nothingForgotten(witness);
  });

  it('gives a domain that died back to its host, which starts it', async () => {
    const { term } = await pair.agent('a').client.status(guest.name);
    await killQemu(pair, 'a', guest.name);
    const failed = await waitFor('b', ({ state }) => state === 'failed');
    expect(failed.reason?.code).toMatch(/^HYP_/);
    await protectedAgain(term + 1);
    expect(await isRunning('b')).toBe(false);
  });

  it('is taken back when the session dies in the middle of it', async () => {
    const { term } = await pair.agent('a').client.status(guest.name);
    const pidFile = `${lab.host('b').runDir}/run/libvirt/libvirtd.pid`;
    const libvirtd = Number(await readFile(pidFile, 'utf8'));
    process.kill(libvirtd, 'SIGSTOP');
    await killQemu(pair, 'a', guest.name);
    const { sessionPid } = await waitFor('b', ({ state }) => state === 'promoting');
    process.kill(sessionPid, 'SIGKILL');
    process.kill(libvirtd, 'SIGCONT');
    await protectedAgain(term + 1);
    expect(await isRunning('b')).toBe(false);
  });
});
