/**
 * What breaks while a domain is protected: sessions and hosts die, an operator interferes. In each
 * case the guest runs on or is taken over, nothing uncommitted is heard, and the status says so.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { EventRecord } from '../../src/agent/events/events.js';
import { HostPair } from '../../src/lab/host-pair.js';
import { Lab } from '../../src/lab/lab.js';
import type { GuestRecord } from '../../src/lab/state.js';
import { Witness } from '../../src/lab/witness.js';
import {
  destroyEverywhere,
  eventually,
  labPrefix,
  nothingForgotten,
  PATIENT,
  waitTakeover,
} from './lab-steps.js';

const PREFIX = labPrefix('fa');
/** A connection that ends is noticed at once, on a busy machine later. */
const LOST_MS_MAX = 20_000;
/** Long enough for a hundred beacons. */
const LISTEN_MS = 400;

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
      name: `fault${number}`,
      run: ['beacon', 'dirty'],
      options: { beacon_hz: 500, dirty_mib: 64, dirty_pages: 8_000, dirty_period_ms: 10 },
    });
  });
  afterEach(async () => {
    try {
      await nothingForgotten(witness);
    } finally {
      await witness.close();
      await destroyEverywhere(lab, guest.name);
    }
  });

  const state = async (host: 'a' | 'b'): Promise<string> =>
    (await lab.host(host).virsh('domstate', guest.name)).trim();

  async function beaconsPass(): Promise<boolean> {
    const before = (await witness.beacon()).packets;
    await delay(LISTEN_MS);
    return (await witness.beacon()).packets > before;
  }

  /** Kills the backup's session; how the primary became degraded, which it may not be for long. */
  async function loseBackup(): Promise<EventRecord> {
    const { sessionPid } = await pair.agent('b').client.status(guest.name);
    const since = new Date();
    process.kill(sessionPid, 'SIGKILL');
    return pair.waitEntered('a', guest.name, 'degraded', { since, timeoutMs: LOST_MS_MAX });
  }

  it('is held and says so when its backup session is killed in mid-checkpoint, then is protected again', async () => {
    await pair.protect(guest.name);
    const before = await pair.agent('a').client.status(guest.name);
    const { reason } = await loseBackup();
    expect(reason?.code).toBe('WIRE_CLOSED');
    expect(await state('a')).toBe('running');
    const again = await pair.waitFor('a', guest.name, (now) => now.state === 'protected', 60_000);
    expect(again.epochs?.committed).toBeGreaterThan(before.epochs?.committed ?? 0);
    await eventually(async () => expect(await beaconsPass()).toBe(true));
  });

  it('notices a lost backup also between two checkpoints', async () => {
    // Two seconds apart: the loop almost always waits for its next pause when the session dies.
    await pair.protect(guest.name, { intervalMs: 2_000 });
    await loseBackup();
    await pair.waitFor('a', guest.name, (now) => now.state === 'protected', 60_000);
  });

  it('does not wait for ever when only the replication link is cut', async () => {
    await pair.protect(guest.name);
    const since = new Date();
    await lab.setLink('b', 'repl', false);
    try {
      // Heartbeats go on over the other path, so nobody is suspected; the checkpoint has its own bound.
      const timeoutMs = LOST_MS_MAX;
      const lost = await pair.waitEntered('a', guest.name, 'degraded', { since, timeoutMs });
      expect(lost.reason?.code).toBe('WIRE_TIMED_OUT');
      await waitTakeover(pair, 'b', guest.name);
    } finally {
      await lab.setLink('b', 'repl', true);
    }
    await pair.waitFor('a', guest.name, (now) => now.state === 'fenced', 20_000);
    await eventually(async () => expect(await beaconsPass()).toBe(true));
  });

  it('stays held for as long as the backup host is away, while the guest runs on', async () => {
    await pair.protect(guest.name);
    await lab.setLink('b', 'repl', false);
    await lab.setLink('b', 'lan', false);
    await pair.waitFor('a', guest.name, (now) => now.state === 'degraded', LOST_MS_MAX);
    // What was committed before may still be on its way.
    await delay(LISTEN_MS);
    expect(await beaconsPass()).toBe(false);
    expect(await state('a')).toBe('running');
    const status = await pair.agent('a').client.status(guest.name);
    expect(status.hold?.heldPackets).toBeGreaterThan(0);
    await expect(pair.agent('a').client.unprotect(guest.name, false)).rejects.toMatchObject({
      code: 'AGENT_BACKUP_UNSURE',
    });
    // Cut off from its primary the backup took over, as it must; the old primary is never heard again.
    await waitTakeover(pair, 'b', guest.name);
    await lab.setLink('b', 'lan', true);
    await lab.setLink('b', 'repl', true);
    const fenced = await pair.waitFor('a', guest.name, (now) => now.state === 'fenced', 20_000);
    expect(fenced.reason?.code).toBe('WIRE_STALE_TERM');
    await eventually(async () =>
      expect(await lab.host('a').virsh('list', '--name')).not.toContain(guest.name),
    );
    await eventually(async () => expect(await beaconsPass()).toBe(true));
  });

  it('does not stay frozen when its own session is killed in mid-pause', async () => {
    // Staging of 1 MiB: each checkpoint is shipped with the guest paused; a stopped backup keeps it so.
    await pair.protect(guest.name, {
      stagingBytes: 1024 ** 2,
      heartbeat: { intervalMs: 100, missedMax: 100 },
    });
    const primary = await pair.agent('a').client.status(guest.name);
    expect(primary.epochs?.shippedPaused).toBeGreaterThan(0);
    const backup = await pair.agent('b').client.status(guest.name);
    try {
      // Again when the stop fell between two pauses.
      await eventually(async () => {
        process.kill(backup.sessionPid, 'SIGCONT');
        await delay(100);
        process.kill(backup.sessionPid, 'SIGSTOP');
        await delay(200);
        expect(await state('a')).toBe('paused');
      });
      process.kill(primary.sessionPid, 'SIGKILL');
      await eventually(async () => expect(await state('a')).toBe('running'));
      const status = await pair.agent('a').client.status(guest.name);
      expect(status).toMatchObject({ state: 'failed', reason: { code: 'AGENT_SESSION_DIED' } });
      // Its output died with the session's hold: fail closed.
      await delay(LISTEN_MS);
      expect(await beaconsPass()).toBe(false);
      const stopped = await pair.agent('b').client.status(guest.name);
      expect(stopped).toMatchObject({ state: 'failed', reason: { code: 'AGENT_SESSION_SILENT' } });
    } finally {
      process.kill(backup.sessionPid, 'SIGKILL');
    }
    // The operator made sure that the backup does not run it.
    const { client } = pair.agent('a');
    await expect(client.unprotect(guest.name, false)).rejects.toMatchObject({
      code: 'AGENT_BACKUP_UNSURE',
    });
    expect((await client.unprotect(guest.name, true)).state).toBe('unprotected');
    await eventually(async () => expect(await beaconsPass()).toBe(true));
  });

  it('is not resurrected after a shutdown or a destroy by its operator', async () => {
    await pair.protect(guest.name);
    await lab.host('a').virsh('destroy', guest.name);
    const status = await pair.waitFor('a', guest.name, (now) => now.state !== 'protected', 20_000);
    expect(status).toMatchObject({ state: 'unprotected', reason: { code: 'AGENT_GUEST_GONE' } });
    await eventually(async () =>
      expect(await lab.host('b').virsh('list', '--name')).not.toContain(guest.name),
    );
    expect((await pair.agent('b').client.status(guest.name)).state).toBe('unprotected');
  });

  it('moves when its operator says failover, and the old copy is fenced', async () => {
    await pair.protect(guest.name);
    const promoted = await pair.agent('b').client.failover(guest.name);
    expect(promoted).toMatchObject({ state: 'promoted', takeover: { cause: 'failoverAsked' } });
    expect(await state('b')).toBe('running');
    await pair.waitFor('a', guest.name, (now) => now.state === 'fenced', 20_000);
    await eventually(async () =>
      expect(await lab.host('a').virsh('list', '--name')).not.toContain(guest.name),
    );
    await eventually(async () => expect(await beaconsPass()).toBe(true));
  });

  it('runs on plainly, on its old bridge, after unprotect', async () => {
    await pair.protect(guest.name);
    const status = await pair.agent('a').client.unprotect(guest.name, false);
    expect(status.state).toBe('unprotected');
    expect(await lab.host('b').virsh('list', '--name')).not.toContain(guest.name);
    await eventually(async () => expect(await beaconsPass()).toBe(true));
    const tap = /vnet\d+/.exec(await lab.host('a').virsh('domiflist', guest.name))?.[0] ?? '';
    const { stdout } = await lab.host('a').exec('ip', ['-o', 'link', 'show', tap]);
    expect(stdout).toContain('master br0');
    const links = await lab.host('a').exec('ip', ['-o', 'link']);
    expect(links.stdout).not.toMatch(/us[rb]-vnet/);
  });
});
