/** Writes that are remembered while there is no backup, and replayed when it returns. */
import { describe, expect, it } from 'vitest';
import {
  apply,
  MIB,
  type Opened,
  openTarget,
  pattern,
  randomFrom,
  take,
  takeEpoch,
  withTmpfs,
} from './mirror-target.js';
import { type NbdClient, NO_HOLE } from './nbd-client.js';

const SECTOR_BYTES = 512;
const DISK_BYTES = [2 * MIB + 512, 18 * MIB];

interface World {
  opened: Opened;
  clients: NbdClient[];
  /** What the guest wrote, and what the backup holds. */
  model: Buffer[];
  replica: Buffer[];
  below: (bound: number) => number;
}

async function build(opened: Opened, seed: number): Promise<World> {
  opened.target.ship(1);
  opened.target.complete();
  return {
    opened,
    clients: [await opened.connect('vda'), await opened.connect('vdb')],
    model: DISK_BYTES.map((bytes) => Buffer.alloc(bytes)),
    replica: DISK_BYTES.map((bytes) => Buffer.alloc(bytes)),
    below: randomFrom(seed),
  };
}

async function write({ clients, model, below }: World, count: number): Promise<void> {
  const requests: Promise<Buffer>[] = [];
  for (let i = 0; i < count; i += 1) {
    const disk = below(2);
    const [client, content] = [clients[disk], model[disk]];
    if (client === undefined || content === undefined) throw new Error('no such disk');
    const sectors = content.length / SECTOR_BYTES;
    const first = below(sectors);
    const bytes = SECTOR_BYTES * Math.min(sectors - first, 1 + below(below(10) === 0 ? 6000 : 40));
    const offset = first * SECTOR_BYTES;
    const kind = below(5);
    if (kind > 1) {
      const data = pattern(bytes, below(200));
      data.copy(content, offset);
      requests.push(client.write(offset, data));
    } else {
      content.fill(0, offset, offset + bytes);
      requests.push(kind === 0 ? client.trim(offset, bytes) : client.zero(offset, bytes, NO_HOLE));
    }
  }
  await Promise.all(requests);
}

async function commit({ opened: { target }, replica }: World, epoch: number): Promise<void> {
  target.closeEpoch(epoch);
  apply(replica, (await takeEpoch(target, epoch)).records);
  target.committed(epoch);
}

const same = ({ model, replica }: World) => model.every((disk, i) => replica[i]?.equals(disk));

describe('remembered writes', () => {
  it('bring the backup to where the guest is, whatever happened', async () => {
    for (let seed = 1; seed <= 8; seed += 1) {
      await using opened = await openTarget(DISK_BYTES, { memoryBytesMax: 2 * MIB });
      const { target } = opened;
      const world = await build(opened, seed);
      await write(world, 20);
      await commit(world, 1);
      expect(same(world), `seed ${seed} before`).toBe(true);
      // Taken and lost with the backup: one epoch whole, one in part.
      await write(world, 10);
      target.closeEpoch(2);
      await takeEpoch(target, 2);
      await write(world, 10);
      if (world.below(2) === 0) await take(target);
      let epoch = 3;
      for (let outage = 0; outage < 2; outage += 1) {
        target.remember();
        await write(world, 15);
        target.closeEpoch(epoch);
        await write(world, world.below(15));
        epoch += 1;
        target.replay(epoch);
        await write(world, 5);
        await take(target);
        await write(world, 5);
      }
      // The second time for good: what was taken above is lost again.
      target.remember();
      target.replay(epoch);
      await commit(world, epoch);
      expect(same(world), `seed ${seed} after`).toBe(true);
      await write(world, 10);
      await commit(world, epoch + 1);
      expect(same(world), `seed ${seed} later`).toBe(true);
      expect(target.stats()).toMatchObject({
        mode: 'shipping',
        rememberedBytes: 0,
        memoryBytes: 0,
      });
      expect(opened.troubles).toEqual([]);
    }
  }, 30_000);

  it('travel once, however often they were overwritten', async () => {
    await using opened = await openTarget(DISK_BYTES);
    const world = await build(opened, 1);
    const [client] = world.clients;
    opened.target.remember();
    for (let i = 0; i < 50; i += 1) await client?.write(0, pattern(65536, i));
    // The read waits until all is stored.
    await client?.read(0, 512);
    expect(opened.target.stats().rememberedBytes).toBe(65536);
    opened.target.replay(2);
    opened.target.closeEpoch(2);
    const { bytes, records } = await takeEpoch(opened.target, 2);
    expect(bytes).toBeLessThan(66_000);
    expect(Buffer.concat(records.map(({ data }) => data)).equals(pattern(65536, 49))).toBe(true);
  });

  it('are kept until they are committed and read as written meanwhile', async () => {
    await using opened = await openTarget(DISK_BYTES);
    const { target } = opened;
    for (const disk of DISK_BYTES.keys()) target.setKnown(disk, { content: 'zeroes' });
    const world = await build(opened, 5);
    await write(world, 10);
    target.remember();
    await write(world, 30);
    for (const [disk, content] of world.model.entries()) {
      const bytes = Math.min(content.length, 8 * MIB);
      const read = await world.clients[disk]?.read(0, bytes);
      expect(read?.equals(content.subarray(0, bytes))).toBe(true);
    }
    target.replay(2);
    await commit(world, 2);
    expect(same(world)).toBe(true);
    target.remember();
    // What was committed is not here any more: refused, not made up.
    await expect(world.clients[1]?.read(0, 512)).rejects.toMatchObject({ errno: 5 });
  });

  it('are not read where nothing is known, nor in another mode', async () => {
    await using opened = await openTarget(DISK_BYTES);
    const world = await build(opened, 6);
    const [client] = world.clients;
    await expect(client?.read(0, 512)).rejects.toMatchObject({ errno: 5 });
    await client?.write(512, pattern(512, 1));
    opened.target.remember();
    await expect(client?.read(0, 1024)).rejects.toMatchObject({ errno: 5 });
    expect((await client?.read(512, 512))?.equals(pattern(512, 1))).toBe(true);
  });

  it('of a guest that trims everything take no room', async () => {
    await using opened = await openTarget([1024 * 1024 * MIB]);
    opened.target.ship(1);
    opened.target.complete();
    const client = await opened.connect('vda');
    opened.target.remember();
    const gib = 1024 * MIB;
    await client.write(gib, pattern(4096, 1));
    for (let at = 0; at < 1024 * gib; at += 2 * gib) await client.trim(at, 2 * gib);
    expect((await client.read(gib, 512)).equals(Buffer.alloc(512))).toBe(true);
    opened.target.replay(2);
    opened.target.closeEpoch(2);
    const { records } = await takeEpoch(opened.target, 2);
    expect(records).toMatchObject([{ kind: 'trim', offset: 0, length: 1024 * gib }]);
  });

  it('are given up when they are more than may be kept', async () => {
    await using opened = await openTarget(DISK_BYTES, { rememberBytesMax: MIB });
    const world = await build(opened, 7);
    const [, client] = world.clients;
    opened.target.remember();
    for (let i = 0; i < 4; i += 1) await client?.write(i * MIB, pattern(MIB, i));
    await opened.trouble('forgotten');
    expect(opened.target.stats()).toMatchObject({ mode: 'forgetting', rememberedBytes: 0 });
    await client?.write(0, pattern(MIB, 1));
    expect(opened.target.stats().memoryBytes).toBe(0);
  });

  it('are given up when they cannot be stored', async () => {
    await withTmpfs(MIB, async (spillDirectory) => {
      await using opened = await openTarget(DISK_BYTES, { spillDirectory });
      const world = await build(opened, 8);
      const [, client] = world.clients;
      opened.target.remember();
      for (let i = 0; i < 4; i += 1) await client?.write(i * MIB, pattern(MIB, i));
      await opened.trouble('storage');
      expect(opened.target.stats().mode).toBe('forgetting');
    });
  });

  it('end with a waiting take', async () => {
    await using opened = await openTarget(DISK_BYTES);
    await build(opened, 9);
    const waiting = take(opened.target);
    opened.target.remember();
    await expect(waiting).rejects.toMatchObject({ code: 'STOPPED' });
    await expect(take(opened.target)).rejects.toMatchObject({ code: 'STOPPED' });
  });
});
