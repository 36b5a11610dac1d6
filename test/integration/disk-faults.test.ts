/**
 * What breaks while a domain with disks is protected. In each case the guest's disk goes on, what the backup
 * missed gets there by the shortest way, and after a takeover the disks are at the epoch of its memory.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { EventRecord } from '../../src/agent/events/events.js';
import { AGENT_PORT_DEFAULT } from '../../src/agent/limits.js';
import type { DomainStatus } from '../../src/agent/status.js';
import { Lab } from '../../src/lab/lab.js';
import { HOST_ADDRESSES } from '../../src/lab/layout.js';
import type { GuestRecord } from '../../src/lab/state.js';
import { type Scene, startScene } from './disk-steps.js';
import {
  destroyEverywhere,
  diskChecksAdvance,
  eventually,
  killQemu,
  labPrefix,
  waitTakeover,
} from './lab-steps.js';

const PREFIX = labPrefix('df');
const ENTERED_TIMEOUT_MS = 30_000;
const AGAIN_TIMEOUT_MS = 60_000;
/** The bound for which a guest's disk may stand still, and some time to see it. */
const FREEZE_MS_MAX = 2_000;
const LOOK_MS = 1_000;

describe('a protected domain with disks', () => {
  let scene: Scene;
  let guest: GuestRecord;
  let number = 0;

  beforeAll(async () => {
    scene = await startScene(PREFIX);
  });
  afterAll(async () => {
    await scene.witness.close();
    await Lab.tearDown(PREFIX);
  });

  beforeEach(async () => {
    number += 1;
    guest = await scene.lab.startGuest({
      name: `disks${number}`,
      run: ['diskstamp'],
      options: { diskstamp: 'vda,vdb', diskstamp_mib: 16 },
      disks: [
        { name: 'vda', format: 'raw', mib: 32 },
        { name: 'vdb', format: 'qcow2', mib: 48 },
      ],
    });
    await scene.pair.protect(guest.name);
  });
  afterEach(() => destroyEverywhere(scene.lab, guest.name));

  const status = (host: 'a' | 'b'): Promise<DomainStatus> =>
    scene.pair.agent(host).client.status(guest.name);

  const entered = (state: DomainStatus['state'], since: Date): Promise<EventRecord> =>
    scene.pair.waitEntered('a', guest.name, state, { since, timeoutMs: ENTERED_TIMEOUT_MS });

  const waitProtected = (): Promise<DomainStatus> =>
    scene.pair.waitFor('a', guest.name, ({ state }) => state === 'protected', AGAIN_TIMEOUT_MS);

  /** Protected again after having been degraded since then; what the outage cost. */
  async function protectedAgain(
    since: Date,
  ): Promise<{ degraded: EventRecord; again: DomainStatus }> {
    const degraded = await entered('degraded', since);
    return { degraded, again: await waitProtected() };
  }

  async function takeOver(): Promise<void> {
    await killQemu(scene.pair, 'a', guest.name);
    const { takeover } = await waitTakeover(scene.pair, 'b', guest.name);
    expect(takeover?.diskEpoch).toBe(takeover?.epoch);
    expect((await diskChecksAdvance(scene.witness, guest.ip)).mismatches).toBe(0n);
  }

  /** Writes that QEMU has completed; asked past our own processes. */
  async function writesDone(disk: string): Promise<number> {
    const text = await scene.lab.host('a').virsh('domblkstat', guest.name, disk);
    return Number(/wr_req (\d+)/.exec(text)?.[1]);
  }

  it('sends only what changed after its backup session was killed', async () => {
    await diskChecksAdvance(scene.witness, guest.ip);
    const { sessionPid } = await status('b');
    const since = new Date();
    process.kill(sessionPid, 'SIGKILL');
    const { again } = await protectedAgain(since);
    expect(again.mirror?.how).toBe('replay');
    expect(again.mirror?.shippedBytes).toBeLessThan(16 * 1024 ** 2);
    await takeOver();
  });

  it('starts its mirrors again when somebody aborts one, and sends only what differs', async () => {
    const before = await status('a');
    const since = new Date();
    await scene.lab.host('a').virsh('blockjob', guest.name, 'vda', '--abort');
    const { degraded, again } = await protectedAgain(since);
    expect(degraded.reason?.code).toMatch(/^(DISK_MIRROR_LOST|HYP_MIRROR_LOST)$/);
    expect(again.mirror?.how).toBe('compare');
    expect(again.epochs?.committed).toBeGreaterThan(before.epochs?.committed ?? 0);
    await takeOver();
  });

  it('is repaired from the beginning when its backup dies in the middle of a repair', async () => {
    const aborted = new Date();
    await scene.lab.host('a').virsh('blockjob', guest.name, 'vdb', '--abort');
    await entered('degraded', aborted);
    await entered('syncing', aborted);
    const { sessionPid } = await status('b');
    const killed = new Date();
    process.kill(sessionPid, 'SIGKILL');
    const { again } = await protectedAgain(killed);
    expect(again.mirror?.how).toBe('compare');
    await takeOver();
  });

  it('lets its guest go on when the session stands still, within the bound', async () => {
    const { sessionPid } = await status('a');
    const since = new Date();
    process.kill(sessionPid, 'SIGSTOP');
    try {
      await delay(FREEZE_MS_MAX);
      const frozen = { vda: await writesDone('vda'), vdb: await writesDone('vdb') };
      await delay(LOOK_MS);
      expect(await writesDone('vda')).toBeGreaterThan(frozen.vda);
      expect(await writesDone('vdb')).toBeGreaterThan(frozen.vdb);
      expect((await scene.lab.host('a').virsh('domstate', guest.name)).trim()).toBe('running');
    } finally {
      process.kill(sessionPid, 'SIGCONT');
    }
    // A primary that stood still was silent: the backup took over, and the old copy ends.
    const { takeover } = await waitTakeover(scene.pair, 'b', guest.name);
    expect(takeover?.diskEpoch).toBe(takeover?.epoch);
    await entered('fenced', since);
    expect((await diskChecksAdvance(scene.witness, guest.ip)).mismatches).toBe(0n);
  });

  it('lets its guest go on when the session is killed', async () => {
    const { sessionPid } = await status('a');
    process.kill(sessionPid, 'SIGKILL');
    const killed = await writesDone('vda');
    await eventually(
      async () => expect(await writesDone('vda')).toBeGreaterThan(killed),
      FREEZE_MS_MAX,
    );
    await waitTakeover(scene.pair, 'b', guest.name);
    expect((await diskChecksAdvance(scene.witness, guest.ip)).mismatches).toBe(0n);
  });

  it('can be unprotected at any moment of a copy, and is a plain domain then', async () => {
    const { client } = scene.pair.agent('a');
    await client.unprotect(guest.name, false);
    for (const waitMs of [300, 900, 1_500, 2_500]) {
      await client.protect(guest.name, {
        backup: { host: HOST_ADDRESSES.b.repl, port: AGENT_PORT_DEFAULT },
      });
      await delay(waitMs);
      await client.unprotect(guest.name, true);
      await scene.pair.waitFor('a', guest.name, ({ state }) => state === 'unprotected', 20_000);
      await eventually(async () => {
        expect(await scene.lab.host('a').virsh('dumpxml', guest.name)).not.toContain('<mirror');
      });
    }
    const before = await writesDone('vda');
    await eventually(async () => expect(await writesDone('vda')).toBeGreaterThan(before));
    expect((await diskChecksAdvance(scene.witness, guest.ip)).mismatches).toBe(0n);
  });

  it('is whole after a takeover in the middle of much writing', async () => {
    await takeOver();
  });
});
