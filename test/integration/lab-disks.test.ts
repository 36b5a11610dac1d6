/** The laboratory's guests with disks, and the programs that say whether a disk is right. */
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compareImages, fsck, type Image } from '../../src/lab/disk-check.js';
import { Lab } from '../../src/lab/lab.js';
import { RedisOnDisk } from '../../src/lab/redis-on-disk.js';
import type { GuestRecord } from '../../src/lab/state.js';
import { Witness } from '../../src/lab/witness.js';
import { eventually, labPrefix } from './lab-steps.js';

const PREFIX = labPrefix('ld');
const STAMPED_MIB = 8;
const BLOCK_BYTES = 4096;
const STAMPED_BLOCKS = (STAMPED_MIB * 2 ** 20) / BLOCK_BYTES;

describe('a guest with disks', () => {
  let lab: Lab;
  let witness: Witness;
  let guest: GuestRecord;

  beforeAll(async () => {
    lab = await Lab.up({ prefix: PREFIX });
    witness = await Witness.start(lab.client);
    guest = await lab.startGuest({
      name: 'disks',
      define: true,
      disks: [
        { format: 'raw', mib: 64, filesystem: 'ext4' },
        { format: 'qcow2', mib: STAMPED_MIB },
        { format: 'raw', mib: STAMPED_MIB },
        { format: 'qcow2', mib: 32, filesystem: 'ext4' },
        { format: 'raw', mib: 16 },
      ],
      run: ['redis', 'diskstamp', 'diskload'],
      options: {
        data: 'vda',
        redis_disk: 1,
        diskstamp: 'vdb,vdc',
        diskstamp_mib: STAMPED_MIB,
        diskload: 'vde',
        diskload_mib: 16,
      },
    });
  });
  afterAll(async () => {
    await witness?.close();
    await Lab.tearDown(PREFIX);
  });

  function image(name: string): Image {
    const disk = guest.disks.find((one) => one.name === name);
    if (disk === undefined) throw new Error(`no disk ${name}`);
    return { path: `${lab.host('a').runDir}${disk.path}`, format: disk.format };
  }

  async function redis(...command: string[]): Promise<string> {
    const { stdout } = await lab.client.exec('redis-cli', ['-h', guest.ip, ...command]);
    return stdout.trim();
  }

  it('verifies its disks and finds nothing', async () => {
    const first = await witness.diskstamp(guest.ip);
    await eventually(async () => {
      const { writes, checks } = await witness.diskstamp(guest.ip);
      expect(checks - first.checks).toBeGreaterThan(2n * BigInt(STAMPED_BLOCKS));
      expect(writes).toBeGreaterThan(100n);
    });
    expect((await witness.diskstamp(guest.ip)).mismatches).toBe(0n);
  });

  it('measures writes of each kind, once for a question asked several times', async () => {
    const fromMs = performance.now();
    for (const mode of ['randwrite', 'dsync', 'randwrite8', 'seqwrite'] as const) {
      const report = await witness.diskload(guest.ip, mode, 1);
      console.log(`${mode}: ${JSON.stringify(report)}`);
      expect(report.seconds).toBeGreaterThanOrEqual(1);
      expect(report.seconds).toBeLessThan(2.5);
      expect(report.writes).toBeGreaterThan(10);
      expect(report.p50Us).toBeGreaterThan(0);
      expect(report.p99Us).toBeGreaterThanOrEqual(report.p50Us);
      const bytes = mode === 'seqwrite' ? 2 ** 20 : BLOCK_BYTES;
      const expected = (report.writes * bytes) / report.seconds / 1e6;
      expect(report.megabytesPerSecond / expected).toBeCloseTo(1, 2);
    }
    // Each question is asked some four times: as many runs would take 13 s and more.
    expect(performance.now() - fromMs).toBeLessThan(10_000);
  });

  it('finds each block that was changed behind its back', async () => {
    const before = await witness.diskstamp(guest.ip);
    expect(before.mismatches).toBe(0n);
    // Blocks are rewritten all the time, and checked before that: every one of them is found.
    const blocks = [3, STAMPED_BLOCKS - 5, Math.floor(STAMPED_BLOCKS / 2)];
    const file = openSync(image('vdc').path, 'r+');
    for (const block of blocks)
      writeSync(file, Buffer.from('wrong'), 0, 5, block * BLOCK_BYTES + 2000);
    closeSync(file);
    await eventually(async () => {
      const { mismatches } = await witness.diskstamp(guest.ip);
      expect(mismatches).toBeGreaterThanOrEqual(1n);
    });
    const { checks } = await witness.diskstamp(guest.ip);
    await eventually(async () => {
      const now = await witness.diskstamp(guest.ip);
      expect(now.checks - checks).toBeGreaterThan(4n * BigInt(STAMPED_BLOCKS));
    });
    // A block that was discarded just then is not looked at: not more than planted, once each.
    const { mismatches } = await witness.diskstamp(guest.ip);
    expect(mismatches).toBeLessThanOrEqual(BigInt(blocks.length));
  });

  it('has on its disk what Redis acknowledged, when it is destroyed', async () => {
    for (let i = 0; i < 20; i += 1) expect(await redis('SET', `key${i}`, `value${i}`)).toBe('OK');
    await lab.host('a').virsh('destroy', guest.name);
    const { clean, output } = await fsck(image('vda').path);
    expect(clean, output).toBe(true);
    const server = await RedisOnDisk.start(image('vda'));
    try {
      const get = (key: string) =>
        execFileSync('redis-cli', ['-s', server.socket, 'GET', key]).toString().trim();
      for (let i = 0; i < 20; i += 1) expect(get(`key${i}`)).toBe(`value${i}`);
      expect(get('key20')).toBe('');
    } finally {
      await server.close();
    }
  });

  it('boots again from its disks after its host lost power', async () => {
    await lab.bootGuest(guest.name);
    expect(await redis('GET', 'key7')).toBe('value7');
    await redis('SET', 'later', 'yes');
    await lab.killHost('a');
    await lab.bootHost('a');
    guest = await lab.bootGuest(guest.name);
    expect(await redis('GET', 'later')).toBe('yes');
    expect((await Lab.open(PREFIX)).guests()).toEqual([guest]);
    await lab.host('a').virsh('destroy', guest.name);
  });

  it('is compared and checked whatever the format', async () => {
    expect((await fsck(image('vdd').path, 'qcow2')).clean).toBe(true);
    expect((await compareImages(image('vda'), image('vda'))).identical).toBe(true);
    expect((await compareImages(image('vda'), image('vdd'))).identical).toBe(false);
    await expect(
      compareImages(image('vda'), { path: '/nowhere', format: 'raw' }),
    ).rejects.toMatchObject({ code: 'LAB_COMMAND_FAILED' });
    // A disk without a file system, and one whose file system is damaged.
    expect((await fsck(image('vde').path)).clean).toBe(false);
    await expect(RedisOnDisk.start(image('vde'))).rejects.toMatchObject({
      code: 'LAB_DISK_UNREADABLE',
    });
    const file = openSync(image('vda').path, 'r+');
    // The first block group's descriptors and bitmaps.
    writeSync(file, Buffer.alloc(16 * BLOCK_BYTES, 0xff), 0, 16 * BLOCK_BYTES, BLOCK_BYTES);
    closeSync(file);
    expect((await fsck(image('vda').path)).clean).toBe(false);
  });
});
