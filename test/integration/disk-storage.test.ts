/**
 * The backup's storage fails, and the guest does with its disks what guests do. The replica is always whole at
 * an epoch, protection comes back by itself, and primary and replica are the same, byte for byte.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { DomainStatus } from '../../src/agent/status.js';
import { compareImages } from '../../src/lab/disk-check.js';
import { Lab } from '../../src/lab/lab.js';
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

const PREFIX = labPrefix('ds');
const STATE_TIMEOUT_MS = 60_000;
const REPLICAS = '/var/lib/understudy/replicas';

describe('a protected domain with disks', () => {
  let scene: Scene;
  let guest: GuestRecord;
  let number = 0;

  beforeAll(async () => {
    scene = await startScene(PREFIX);
    // Small, so that it can be filled: 96 MiB of disks and 64 MiB that understudy leaves free.
    await scene.lab.host('b').exec('mkdir', ['-p', REPLICAS]);
    await scene.lab.host('b').exec('mount', ['-t', 'tmpfs', '-o', 'size=200m', 'tmpfs', REPLICAS]);
  });
  afterAll(async () => {
    await scene.witness.close();
    await Lab.tearDown(PREFIX);
  });

  beforeEach(async () => {
    number += 1;
    guest = await scene.lab.startGuest({
      name: `store${number}`,
      run: ['diskstamp', 'diskload'],
      options: { diskstamp: 'vda', diskstamp_mib: 16, diskload: 'vdb', diskload_mib: 64 },
      disks: [
        { name: 'vda', format: 'raw', mib: 32 },
        { name: 'vdb', format: 'qcow2', mib: 64 },
      ],
    });
  });
  afterEach(async () => {
    await destroyEverywhere(scene.lab, guest.name);
    await scene.lab.host('b').exec('sh', ['-c', `rm -rf ${REPLICAS}/*`]);
  });

  const status = (host: 'a' | 'b'): Promise<DomainStatus> =>
    scene.pair.agent(host).client.status(guest.name);

  const waitState = (state: DomainStatus['state']): Promise<DomainStatus> =>
    scene.pair.waitFor('a', guest.name, (now) => now.state === state, STATE_TIMEOUT_MS);

  async function takeOver(): Promise<void> {
    await killQemu(scene.pair, 'a', guest.name);
    await waitTakeover(scene.pair, 'b', guest.name);
    expect((await diskChecksAdvance(scene.witness, guest.ip)).mismatches).toBe(0n);
  }

  it('is refused by check and by protect when the backup has no room', async () => {
    await scene.lab.host('b').exec('sh', ['-c', `head -c 100M /dev/zero > ${REPLICAS}/fill`]);
    const report = await scene.pair.agent('a').client.check(guest.name, '10.87.1.2');
    expect(report.refusals.map(({ code }) => code)).toEqual(['DISK_NO_SPACE']);
    await expect(scene.pair.protect(guest.name)).rejects.toMatchObject({ code: 'DISK_NO_SPACE' });
  });

  it('is held when the backup’s disk fills up, and protected again once there is room', async () => {
    await scene.pair.protect(guest.name);
    // More than what the replicas have not taken yet.
    await scene.lab
      .host('b')
      .exec('sh', ['-c', `head -c 200M /dev/zero > ${REPLICAS}/fill || true`]);
    expect((await waitState('degraded')).reason?.code).toMatch(/^DISK_(STORE_FAILED|NO_SPACE)$/);
    await scene.lab.host('b').exec('rm', [`${REPLICAS}/fill`]);
    await waitState('protected');
    await takeOver();
  });

  it('is held when the backup’s disk fails, and protected again once it works', async () => {
    await scene.pair.protect(guest.name);
    const { sessionPid } = await status('b');
    const inject = [
      '-qq',
      '-e',
      'trace=pwritev,pwrite64,fdatasync',
      '-e',
      'inject=fdatasync:error=EIO',
    ];
    const fault = spawn('strace', ['-f', ...inject, '-o', '/dev/null', '-p', String(sessionPid)], {
      stdio: 'ignore',
    });
    try {
      const { reason } = await waitState('degraded');
      expect(reason?.code).toBe('DISK_STORE_FAILED');
      expect(reason?.message).toContain('fdatasync');
    } finally {
      // It ends by itself with the session that it traces.
      const ended = once(fault, 'exit');
      fault.kill('SIGINT');
      if (fault.exitCode === null && fault.signalCode === null) await ended;
    }
    await waitState('protected');
    await takeOver();
  });

  /** The guest stands still, and the replica holds all that it did. */
  async function expectReplicaIsSame(): Promise<void> {
    await scene.lab.host('a').virsh('suspend', guest.name);
    const { epochs } = await status('a');
    await eventually(async () => {
      const { replica } = await status('b');
      expect(replica?.disks?.recordedEpoch).toBeGreaterThan((epochs?.committed ?? 0) + 1);
    });
    const { disks: replicas = [], sessionPid } = await status('b');
    for (const [index, { path, format }] of guest.disks.entries()) {
      const primary = { path: `${scene.lab.host('a').runDir}${path}`, format };
      // Below the host's own mount, which is seen from inside only.
      const inside = `/proc/${sessionPid}/root${replicas[index]?.path}`;
      const { identical, output } = await compareImages(primary, { path: inside, format: 'raw' });
      expect(identical, output).toBe(true);
    }
    await scene.lab.host('a').virsh('resume', guest.name);
  }

  it('has a replica that is the same as its disks at a pause', async () => {
    await scene.pair.protect(guest.name);
    await diskChecksAdvance(scene.witness, guest.ip);
    await expectReplicaIsSame();
  });

  it('has the same replica after its guest trimmed a whole disk', async () => {
    await scene.pair.protect(guest.name);
    const { writes } = await scene.witness.diskload(guest.ip, 'trim', 1);
    expect(writes).toBeGreaterThanOrEqual(64);
    await expectReplicaIsSame();
    await takeOver();
  });
});
