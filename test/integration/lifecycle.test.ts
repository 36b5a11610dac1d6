/** A domain's life beyond the first failure: protected again after each fault, without anyone's help. */
import { readFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { DomainStatus } from '../../src/agent/status.js';
import { HostPair } from '../../src/lab/host-pair.js';
import { Lab } from '../../src/lab/lab.js';
import { HOST_NAMES, type HostName } from '../../src/lab/layout.js';
import { restartLibvirtd } from '../../src/lab/libvirtd.js';
import type { GuestRecord } from '../../src/lab/state.js';
import { Witness } from '../../src/lab/witness.js';
import { destroyEverywhere, killQemu, labPrefix, nothingForgotten, PATIENT } from './lab-steps.js';

const PREFIX = labPrefix('lc');
const AGAIN_TIMEOUT_MS = 60_000;

describe('a domain whose recovery is automatic', () => {
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
    guest = await lab.startGuest({ name: `life ${number}`, define: true, run: ['beacon'] });
    await pair.protect(guest.name, { recovery: 'automatic' });
  });
  afterEach(async () => {
    try {
      await listenedTo();
    } finally {
      for (const host of HOST_NAMES) {
        await pair
          .agent(host)
          .client.unprotect(guest.name, true)
          .catch(() => undefined);
      }
      await destroyEverywhere(lab, guest.name);
    }
  });

  const listenedTo = async (): Promise<void> => {
    try {
      await nothingForgotten(witness);
    } finally {
      await witness.close();
    }
  };
  /** From now on the guest is another one: it counts from 1 again. */
  const listenAnew = async (): Promise<void> => {
    await listenedTo();
    witness = await Witness.start(lab.client);
  };
  const status = (host: HostName): Promise<DomainStatus> =>
    pair.agent(host).client.status(guest.name);
  const protectedFrom = (host: HostName): Promise<DomainStatus> =>
    pair.waitFor(
      host,
      guest.name,
      ({ role, state }) => role === 'primary' && state === 'protected',
      AGAIN_TIMEOUT_MS,
    );
  const defined = async (host: HostName): Promise<boolean> =>
    (await lab.host(host).virsh('list', '--all', '--name')).split('\n').includes(guest.name);

  it('goes to and fro as QEMU dies on one host and the other', async () => {
    await killQemu(pair, 'a', guest.name);
    const there = await protectedFrom('b');
    expect(there).toMatchObject({ term: 2, takeover: { cause: 'peerYielded' } });
    expect(await defined('a')).toBe(true); // the standby
    await killQemu(pair, 'b', guest.name);
    expect((await protectedFrom('a')).term).toBe(3);
    expect(await status('b')).toMatchObject({ role: 'backup', state: 'protected' });
  });

  it('is given to the other host and back, on request', async () => {
    await pair.agent('a').client.switchover(guest.name);
    await protectedFrom('b');
    expect((await status('b')).takeover).toMatchObject({ cause: 'switchover' });
    // Asked on the host that is the backup now.
    await pair.agent('a').client.switchover(guest.name);
    await protectedFrom('a');
    await pair.agent('a').client.unprotect(guest.name, false);
    expect(await defined('b')).toBe(false);
  });

  it('is protected again when its host is back', async () => {
    await lab.killHost('a');
    await pair.waitFor('b', guest.name, ({ state }) => state === 'promoted', AGAIN_TIMEOUT_MS);
    await pair.bootHost('a');
    await protectedFrom('b');
    expect(await status('a')).toMatchObject({ role: 'backup', state: 'protected' });
  });

  it('is protected again when its backup is back', async () => {
    await lab.killHost('b');
    await pair.waitFor('a', guest.name, ({ state }) => state === 'degraded', AGAIN_TIMEOUT_MS);
    await pair.bootHost('b');
    await protectedFrom('a');
  });

  it.each(HOST_NAMES)('survives the death of its session on host %s', async (host) => {
    process.kill((await status(host)).sessionPid, 'SIGKILL');
    const runsOn = host === 'a' ? 'b' : 'a';
    await pair.waitFor(host, guest.name, ({ state }) => state !== 'protected', AGAIN_TIMEOUT_MS);
    await protectedFrom(runsOn);
  });

  it.each(HOST_NAMES)('stays where it is when libvirtd dies on host %s', async (host) => {
    const { runDir } = lab.host(host);
    const pid = Number(await readFile(`${runDir}/run/libvirt/libvirtd.pid`, 'utf8'));
    process.kill(pid, 'SIGKILL');
    await pair.waitFor('a', guest.name, ({ state }) => state === 'degraded', AGAIN_TIMEOUT_MS);
    await restartLibvirtd(lab.host(host));
    expect((await protectedFrom('a')).term).toBe(1);
  });

  it('is protected again when it is started again', async () => {
    const a = lab.host('a');
    await a.virsh('destroy', guest.name);
    await pair.waitFor('a', guest.name, ({ state }) => state === 'unprotected', AGAIN_TIMEOUT_MS);
    await listenAnew();
    await lab.bootGuest(guest.name);
    expect((await protectedFrom('a')).term).toBe(1);
  });

  it('pauses and resumes', async () => {
    const { client } = pair.agent('a');
    expect((await client.pause(guest.name, false)).state).toBe('paused');
    expect((await client.status(guest.name)).state).toBe('paused');
    await client.resume(guest.name);
    await protectedFrom('a');
  });

  it('is started by nobody on a host that lost it and comes back', async () => {
    const a = lab.host('a');
    await a.virsh('autostart', guest.name);
    await lab.killHost('a');
    await pair.waitFor('b', guest.name, ({ state }) => state === 'promoted', AGAIN_TIMEOUT_MS);
    // No agent is there yet that could know better.
    await lab.bootHost('a');
    expect(await a.virsh('list', '--name')).not.toContain(guest.name);
    await expect(a.virsh('start', guest.name)).rejects.toThrow(/its other host may run it/);
    await pair.startAgent('a');
    await protectedFrom('b');
    await pair.agent('b').client.unprotect(guest.name, false);
    expect(await defined('a')).toBe(false);
    expect(await defined('b')).toBe(true);
  });

  it('starts again after both hosts lost power', async () => {
    await lab.host('a').virsh('autostart', guest.name);
    await lab.killHost('b');
    await lab.killHost('a');
    await listenAnew();
    await pair.bootHost('b');
    await lab.bootHost('a');
    expect(await lab.host('a').virsh('list', '--name')).not.toContain(guest.name);
    await pair.startAgent('a');
    const { term } = await protectedFrom('a');
    expect(term).toBe(2);
  });

  describe('whose backup cannot run what it holds', () => {
    beforeEach(async () => {
      await pair.agent('a').client.unprotect(guest.name, false);
      await pair.protect(guest.name, { recovery: 'automatic', faults: ['spoil-state'] });
    });

    const protectedAfter = (term: number): Promise<DomainStatus> =>
      pair.waitFor(
        'a',
        guest.name,
        (now) => now.role === 'primary' && now.state === 'protected' && now.term > term,
        AGAIN_TIMEOUT_MS,
      );
    const runsOnB = async (): Promise<boolean> =>
      (await lab.host('b').virsh('list', '--state-running', '--name')).includes(guest.name);

    it('stays where it is instead of moving, and goes on', async () => {
      const { qemuPid, term } = await status('a');
      const moved = pair.agent('a').client.switchover(guest.name);
      await expect(moved).rejects.toMatchObject({ code: 'AGENT_SWITCHOVER_FAILED' });
      // The backup's term lies between.
      const now = await protectedAfter(term + 1);
      expect(now.qemuPid).toBe(qemuPid);
      expect(now.takeover).toBeUndefined();
      expect(await runsOnB()).toBe(false);
      const heard = (await witness.beacon()).packets;
      await expect.poll(async () => (await witness.beacon()).packets).toBeGreaterThan(heard);
    });

    it('is started where it was when its QEMU dies', async () => {
      const { term } = await status('a');
      await killQemu(pair, 'a', guest.name);
      const hasFailed = ({ state }: DomainStatus): boolean => state === 'failed';
      const failed = await pair.waitFor('b', guest.name, hasFailed, AGAIN_TIMEOUT_MS);
      await listenAnew();
      expect(failed.reason?.code).toMatch(/^HYP_/);
      await protectedAfter(term + 1);
      expect(await runsOnB()).toBe(false);
    });

    it('is started where it was when the session dies in the middle of its promotion', async () => {
      const { term } = await status('a');
      const pidFile = `${lab.host('b').runDir}/run/libvirt/libvirtd.pid`;
      const libvirtd = Number(await readFile(pidFile, 'utf8'));
      process.kill(libvirtd, 'SIGSTOP');
      await killQemu(pair, 'a', guest.name);
      const isPromoting = ({ state }: DomainStatus): boolean => state === 'promoting';
      const { sessionPid } = await pair.waitFor('b', guest.name, isPromoting, AGAIN_TIMEOUT_MS);
      await listenAnew();
      process.kill(sessionPid, 'SIGKILL');
      process.kill(libvirtd, 'SIGCONT');
      await protectedAfter(term + 1);
      expect(await runsOnB()).toBe(false);
    });
  });
});
