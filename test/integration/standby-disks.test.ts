/** A standby whose disks are replicas: started, written behind its back while it waits, promoted, kept. */
import { mkdir, open, writeFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Hypervisor, openHypervisor } from '../../src/hypervisor/connection.js';
import { describeDomain } from '../../src/hypervisor/description.js';
import type { ProtectedDomain } from '../../src/hypervisor/domain.js';
import { compareIdentity, identityOf } from '../../src/hypervisor/identity.js';
import { inspectDomain } from '../../src/hypervisor/inspect.js';
import { ramMap } from '../../src/hypervisor/ram-map.js';
import type { ReplicaDisk } from '../../src/hypervisor/replica-disks.js';
import { runState } from '../../src/hypervisor/run-state.js';
import type { Standby } from '../../src/hypervisor/standby.js';
import { StoppedPause } from '../../src/hypervisor/stopped-pause.js';
import { runCommand } from '../../src/lab/command.js';
import { Lab } from '../../src/lab/lab.js';
import { native } from '../../src/native.js';
import { createDisk, diskIo, type GuestDisk, startDiskGuest } from './disk-guest.js';

const PREFIX = 'usd4s';
const MIB = 2 ** 20;
const GUEST = 'disky';

let lab: Lab;
let a: Hypervisor;
let b: Hypervisor;
let domain: ProtectedDomain;
let replicas: ReplicaDisk[];
let standby: Standby | undefined;

beforeAll(async () => {
  lab = await Lab.up({ prefix: PREFIX });
  a = await openHypervisor({ uri: lab.host('a').libvirtUri });
  b = await openHypervisor({ uri: lab.host('b').libvirtUri });
});

afterAll(async () => {
  await a?.close();
  await b?.close();
  await Lab.tearDown(PREFIX);
});

beforeEach(async () => {
  const [here, there] = [`${lab.host('a').runDir}/run/disks`, `${lab.host('b').runDir}/run/disks`];
  await Promise.all([here, there].map((directory) => mkdir(directory, { recursive: true })));
  const disks: GuestDisk[] = [
    { name: 'vda', path: `${here}/a.raw`, format: 'raw', driver: "discard='unmap'" },
    { name: 'vdb', path: `${here}/b.qcow2`, format: 'qcow2', driver: "cache='writethrough'" },
  ];
  for (const disk of disks) await createDisk(disk, '16M');
  await startDiskGuest(lab.host('a'), GUEST, disks);
  domain = await a.domain(GUEST);
  // One replica is a file, the other a block device.
  for (const name of ['vda', 'vdb'])
    await writeFile(`${there}/${name}.raw`, Buffer.alloc(16 * MIB));
  const loop = await runCommand('losetup', ['-f', '--show', `${there}/vdb.raw`]);
  replicas = [
    { name: 'vda', path: `${there}/vda.raw`, block: false },
    { name: 'vdb', path: loop.stdout.trim(), block: true },
  ];
});

afterEach(async () => {
  await standby?.destroy();
  standby = undefined;
  if (await a.running(domain.uuid)) await domain.destroy();
  const loop = replicas.find(({ block }) => block);
  if (loop !== undefined) await runCommand('losetup', ['-d', loop.path]);
});

/** Writes as the applying side does: another process, while the standby's QEMU has the file open. */
async function fillReplica({ path }: ReplicaDisk, content: number): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await file.write(Buffer.alloc(MIB, content), 0, MIB, 0);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function checkpointInto(receiver: Standby): Promise<Buffer> {
  const { pid, blocks } = await ramMap(domain);
  const memory = await native.memory.attach({
    ...{ pid, ranges: blocks, stagingBytes: 128 * MIB, threads: 1 },
  });
  const replica = native.memory.openReplica({ blocks: await receiver.memfds() });
  const source = await StoppedPause.open(domain);
  try {
    const { deviceState } = await source.pauseAndCapture(() =>
      memory.captureStopped({ epoch: 1, copy: 'staged', boundaries: [] }),
    );
    const chunk = Buffer.alloc(4 * MIB);
    for (let done = false; !done; ) {
      const encoded = await memory.encodeInto(chunk);
      if (encoded.bytes > 0) await replica.apply([chunk.subarray(0, encoded.bytes)]);
      done = encoded.done;
    }
    return deviceState;
  } finally {
    await source.close();
    replica.close();
    await memory.detach();
  }
}

describe('a standby with disks', () => {
  it('reads its replicas as they were last written, and keeps them', async () => {
    standby = await b.startStandby({ ...(await describeDomain(domain)), disks: replicas });
    expect(await runState(standby.domain)).toBe('inmigrate');
    expect(compareIdentity(await identityOf(domain), await standby.identity())).toEqual([]);
    const { mirrored } = await inspectDomain(standby.domain);
    expect(mirrored).toEqual(
      replicas.map(({ name, path }) => ({ name, path, format: 'raw', bytes: 16 * MIB })),
    );
    const [vda, vdb] = replicas;
    if (vda === undefined || vdb === undefined) throw new Error('there are two replicas');
    // A waiting QEMU has the images open, inactive: it locks nothing and caches nothing.
    await runCommand('qemu-io', ['-f', 'raw', '-c', 'write -P 1 0 1M', vda.path]);
    await fillReplica(vda, 0xaa);
    await fillReplica(vdb, 0xbb);
    const deviceState = await checkpointInto(standby);
    await fillReplica(vdb, 0xcc);
    await domain.destroy();
    await standby.promote(deviceState);
    expect(await runState(standby.domain)).toBe('running');
    await diskIo(standby.domain, 0, 'read -P 0xaa 0 1M');
    await diskIo(standby.domain, 0, 'read -P 0 1M 1M');
    await diskIo(standby.domain, 1, 'read -P 0xcc 0 1M');
    await diskIo(standby.domain, 1, 'write -P 0xdd 0 4k');
    await diskIo(standby.domain, 1, 'flush');
    // From now on they are the guest's alone.
    await expect(
      runCommand('qemu-io', ['-f', 'raw', '-c', 'write -P 1 0 4k', vda.path]),
    ).rejects.toThrow(/lock/);

    await standby.persist();
    await standby.destroy();
    const kept = await b.domain(GUEST);
    await kept.create();
    await diskIo(kept, 1, 'read -P 0xdd 0 4k');
    expect((await inspectDomain(kept)).mirrored).toEqual(mirrored);
    await kept.destroy();
    await kept.undefine();
  });

  it('does not need the disks of its primary, but its own', async () => {
    const description = await describeDomain(domain);
    const gone = replicas.map((replica) => ({ ...replica, path: `${replica.path}.gone` }));
    await expect(b.startStandby({ ...description, disks: gone })).rejects.toMatchObject({
      code: 'HYP_STANDBY_FILE_MISSING',
      context: { facts: { missing: gone.map(({ path }) => path) } },
    });
    expect(await b.running(domain.uuid)).toBeUndefined();
  });
});
