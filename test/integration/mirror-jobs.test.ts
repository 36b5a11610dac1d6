/** Mirror jobs of a real QEMU, to a target that works, dies, hangs or is missing. */
import { createReadStream } from 'node:fs';
import { mkdir, stat, writeFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { UnderstudyError } from '../../src/errors.js';
import { type Hypervisor, openHypervisor } from '../../src/hypervisor/connection.js';
import type { ProtectedDomain } from '../../src/hypervisor/domain.js';
import { readDomainXml } from '../../src/hypervisor/domain-xml.js';
import { GatePause } from '../../src/hypervisor/gate-pause.js';
import { inspectDomain } from '../../src/hypervisor/inspect.js';
import { endLeftoverJobs } from '../../src/hypervisor/leftover-jobs.js';
import { MirrorJobs } from '../../src/hypervisor/mirror-jobs.js';
import { ramMap } from '../../src/hypervisor/ram-map.js';
import { runState } from '../../src/hypervisor/run-state.js';
import { runCommand } from '../../src/lab/command.js';
import { Lab } from '../../src/lab/lab.js';
import { native } from '../../src/native.js';
import {
  createDisk,
  diskIo,
  type GuestDisk,
  sameContent,
  startDiskGuest,
  TargetServer,
} from './disk-guest.js';

const PREFIX = 'usd4m';
const MIB = 2 ** 20;
const GUEST = 'mirrored';
/** One question to QEMU through libvirt, on a machine that does other things too. */
const PROVE_MS_MAX = 20;

let lab: Lab;
let hypervisor: Hypervisor;
let directory: string;
let disks: GuestDisk[];
let domain: ProtectedDomain;
let target: TargetServer;
let lost: UnderstudyError[];

beforeAll(async () => {
  lab = await Lab.up({ prefix: PREFIX });
  hypervisor = await openHypervisor({ uri: lab.host('a').libvirtUri });
  directory = `${lab.host('a').runDir}/run/usd`;
  await mkdir(directory);
});

afterAll(async () => {
  await hypervisor?.close();
  await Lab.tearDown(PREFIX);
});

beforeEach(async () => {
  const base = `${directory}/base.raw`;
  await writeFile(base, Buffer.alloc(MIB, 0xba));
  disks = [
    await createDisk(
      { name: 'vda', path: `${directory}/a.raw`, format: 'raw', driver: "discard='unmap'" },
      '48M',
    ),
    { name: 'vdb', path: `${directory}/b.qcow2`, format: 'qcow2' },
    { name: 'vdc', path: `${directory}/c.raw`, format: 'raw' },
  ];
  // An overlay, so that the copy must bring the whole chain; and a size that is no whole sector.
  const overlay = ['create', '-q', '-f', 'qcow2', '-b', base, '-F', 'raw', `${directory}/b.qcow2`];
  await runCommand('qemu-img', [...overlay, '24M']);
  await writeFile(`${directory}/c.raw`, Buffer.alloc(1_000_300, 0xcc));
  await startDiskGuest(lab.host('a'), GUEST, disks);
  domain = await hypervisor.domain(GUEST);
  const { mirrored } = await inspectDomain(domain);
  target = await TargetServer.start(`${directory}/target`, mirrored);
  lost = [];
});

afterEach(async () => {
  await target.kill();
  await domain.destroy();
});

function start(names: readonly string[] = ['vda', 'vdb', 'vdc']): Promise<MirrorJobs> {
  return MirrorJobs.start(hypervisor, domain, {
    socketPath: target.socketPath,
    disks: names.map((name) => ({ name })),
    onLost: (error) => lost.push(error),
  });
}

async function mirroredDisks(): Promise<string[]> {
  const { disks: live } = readDomainXml(await domain.liveXml());
  return live.filter(({ mirror }) => mirror !== undefined).map(({ name }) => name);
}

async function expectSame(): Promise<void> {
  for (const [number, disk] of disks.entries()) {
    // What another process reads of a qcow2 file is as new as its tables on disk.
    await diskIo(domain, number, 'flush');
    await sameContent(disk, target.path(disk.name));
  }
}

describe('mirror jobs', () => {
  it('copy raw, chained and odd-sized disks and keep them the same, trims included', async () => {
    const { mirrored } = await inspectDomain(domain);
    expect(mirrored).toMatchObject([
      { name: 'vda', bytes: 48 * MIB, path: `${directory}/a.raw`, format: 'raw' },
      { name: 'vdb', bytes: 24 * MIB, path: `${directory}/b.qcow2`, format: 'qcow2' },
      // Up to the next sector, as the guest sees it.
      { name: 'vdc', bytes: 1_000_448, path: `${directory}/c.raw`, format: 'raw' },
    ]);
    await diskIo(domain, 0, 'write -P 1 0 8M');
    const mirrors = await start();
    await mirrors.ready();
    await mirrors.prove();
    const { doneBytes, totalBytes } = await mirrors.progress();
    expect(doneBytes).toBe(totalBytes);
    expect(totalBytes).toBeGreaterThanOrEqual(72 * MIB);
    await expectSame();
    const writes = [
      [0, 'write -P 2 512 512'],
      [0, 'write -P 3 1000k 40M'],
      [0, 'discard 0 256k'],
      [0, 'write -z -u 3M 1M'],
      [1, 'write -P 4 100k 3M'],
      [1, 'discard 1025k 1M'],
      [1, 'write -z 5000192 512'],
      [2, 'write -P 5 999936 512'],
    ] as const;
    for (const [number, command] of writes) await diskIo(domain, number, command);
    await mirrors.prove();
    await expectSame();
    await mirrors.end();
    expect(await mirroredDisks()).toEqual([]);
    expect(lost).toEqual([]);
    await diskIo(domain, 0, 'write -P 6 0 4k');
    await expect(expectSame()).rejects.toThrow();
  });

  it('are proven within milliseconds, and after every pause', async () => {
    const mirrors = await start();
    await mirrors.ready();
    const tookMs: number[] = [];
    for (let i = 0; i < 100; i += 1) {
      const startedMs = performance.now();
      await mirrors.prove();
      tookMs.push(performance.now() - startedMs);
    }
    tookMs.sort((one, other) => one - other);
    const medianMs = tookMs[50] ?? Number.NaN;
    console.log(`prove: p50 ${medianMs.toFixed(2)} ms, p99 ${tookMs[98]?.toFixed(2)} ms`);
    expect(medianMs).toBeLessThan(PROVE_MS_MAX);

    const { pid, blocks } = await ramMap(domain);
    const memory = await native.memory.attach({
      ...{ pid, ranges: blocks, stagingBytes: 16 * MIB, threads: 1 },
    });
    const gate = new GatePause(domain, { qemuUid: 0, fifoPath: '' });
    try {
      for (let epoch = 1; epoch <= 100; epoch += 1) {
        await diskIo(domain, epoch % 2, `aio_write -P ${epoch} ${epoch * 8192} 64k`);
        await gate.pauseAndCapture(({ gateFd = -1 }) =>
          memory.capture({
            ...{ gateFd, epoch, copy: 'live', boundaries: [], deviceStateBytesMax: 4 * MIB },
            ...{ openTimeoutMs: 5_000, drainTimeoutMs: 5_000 },
          }),
        );
        await mirrors.prove();
      }
    } finally {
      await gate.close();
      await memory.detach();
    }
    await expectSame();
    await mirrors.end();
  });

  it('start all or none', async () => {
    const other = await TargetServer.start(`${directory}/half`, [{ name: 'vda', bytes: 48 * MIB }]);
    const half = MirrorJobs.start(hypervisor, domain, {
      socketPath: other.socketPath,
      disks: [{ name: 'vda' }, { name: 'vdb' }],
      onLost: (error) => lost.push(error),
    });
    await expect(half).rejects.toMatchObject({ code: 'HYP_MIRROR_START_FAILED' });
    await other.kill();
    expect(await mirroredDisks()).toEqual([]);
    expect(lost).toEqual([]);
  });

  it('do not touch the job of another on the disk they were to copy', async () => {
    const first = await start(['vdb']);
    await first.ready();
    await expect(start(['vda', 'vdb'])).rejects.toMatchObject({ code: 'HYP_MIRROR_START_FAILED' });
    expect(await mirroredDisks()).toEqual(['vdb']);
    await first.prove();
    await first.end();
    expect(lost).toEqual([]);
  });

  it('can be started again at once after they were ended', async () => {
    for (let round = 0; round < 5; round += 1) {
      const mirrors = await start();
      await mirrors.ready();
      await mirrors.prove();
      await mirrors.end();
    }
    expect(lost).toEqual([]);
  });

  it('are lost when the target dies, and say so once, by the disk', async () => {
    const mirrors = await start();
    await mirrors.ready();
    await target.kill();
    // The silent hole: the guest's write succeeds.
    await diskIo(domain, 1, 'write -P 7 0 4k');
    await expect.poll(() => lost.length).toBe(1);
    expect(lost[0]).toMatchObject({ code: 'HYP_MIRROR_LOST', message: /vdb/ });
    await expect(mirrors.prove()).rejects.toMatchObject({ code: 'HYP_MIRROR_LOST' });
    await expect(mirrors.ready()).rejects.toMatchObject({ code: 'HYP_MIRROR_LOST' });
    await mirrors.end();
    expect(await mirroredDisks()).toEqual([]);
    expect(lost).toHaveLength(1);
  });

  it('are lost when an operator ends one, or the guest dies', async () => {
    const mirrors = await start();
    await mirrors.ready();
    await lab.host('a').virsh('blockjob', GUEST, 'vda', '--abort');
    await expect.poll(() => lost.length).toBe(1);
    expect(lost[0]?.message).toContain('canceled');
    await mirrors.end();

    const again = await start();
    process.kill((await inspectDomain(domain)).pid, 'SIGKILL');
    await expect.poll(() => lost.length).toBe(2);
    await again.end();
    await startDiskGuest(lab.host('a'), GUEST, disks);
    domain = await hypervisor.domain(GUEST);
  });

  it('that are still copying reject who waits for them, when lost or ended', async () => {
    await target.kill();
    const slow = ['delay'];
    const exports = (await inspectDomain(domain)).mirrored;
    await diskIo(domain, 0, 'write -P 1 0 48M');
    target = await TargetServer.start(`${directory}/slow`, exports, slow, ['wdelay=300ms']);
    const ended = await start(['vda']);
    const waiting = expect(ended.ready()).rejects.toMatchObject({ code: 'HYP_MIRROR_LOST' });
    await expect(ended.prove()).rejects.toMatchObject({ code: 'HYP_MIRROR_LOST' });
    await expect.poll(async () => (await ended.progress()).totalBytes).toBe(48 * MIB);
    expect((await ended.progress()).doneBytes).toBeLessThan(48 * MIB);
    await ended.end();
    await waiting;

    const dying = await start(['vda']);
    const dyingReady = expect(dying.ready()).rejects.toMatchObject({ code: 'HYP_MIRROR_LOST' });
    await target.kill();
    await dyingReady;
    await dying.end();
    expect(lost).toHaveLength(1);
  });

  it('end in bounded time when the target hangs; when it is closed, all goes on', async () => {
    const mirrors = await start(['vda']);
    await mirrors.ready();
    target.signal('SIGSTOP');
    await diskIo(domain, 0, 'aio_write -P 8 0 4k');
    await expect(mirrors.end()).rejects.toMatchObject({ code: 'HYP_MONITOR_TIMED_OUT' });
    await target.kill();
    await mirrors.end();
    expect(await runState(domain)).toBe('running');
    expect(await mirroredDisks()).toEqual([]);
    await diskIo(domain, 0, 'write -P 9 0 4k');
  });

  it('keep a disk from being resized', async () => {
    const mirrors = await start(['vda']);
    await mirrors.ready();
    await expect(lab.host('a').virsh('blockresize', GUEST, 'vda', '64M')).rejects.toThrow(/in use/);
    await mirrors.prove();
    await mirrors.end();
  });
});

describe('block copies that a dead session left', () => {
  it('are known by their socket, are no reason against protection, and are ended', async () => {
    await start();
    const codes = async (runDir?: string) =>
      (await hypervisor.check(GUEST, runDir)).refusals.map(({ code }) => code);
    expect(await codes()).toEqual(['CHECK_JOB_ACTIVE', 'CHECK_JOB_ACTIVE', 'CHECK_JOB_ACTIVE']);
    expect(await codes(`${directory}/target/`)).toEqual([]);
    expect(await endLeftoverJobs(domain, `${directory}/targ`)).toEqual([]);
    expect(await mirroredDisks()).toHaveLength(3);
    expect(await endLeftoverJobs(domain, directory)).toEqual(['vda', 'vdb', 'vdc']);
    expect(await mirroredDisks()).toEqual([]);
  });

  it('are ended also when the session’s server is gone', async () => {
    await start();
    await target.kill();
    expect(await endLeftoverJobs(domain, directory)).toEqual(['vda', 'vdb', 'vdc']);
    await diskIo(domain, 0, 'write -P 9 0 4k');
    expect((await stat(`${directory}/a.raw`)).size).toBe(48 * MIB);
    const [firstByte] = await createReadStream(`${directory}/a.raw`, { end: 0 }).toArray();
    expect(firstByte).toEqual(Buffer.from([9]));
  });
});
