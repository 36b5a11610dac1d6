/** Epochs in the write log: each write belongs to one, ends are marked, and a broken mirror shows. */
import { describe, expect, it } from 'vitest';
import { MIB, openTarget, pattern, take, takeEpoch } from './mirror-target.js';

describe('boundary', () => {
  it('parts the writes of two epochs exactly', async () => {
    await using opened = await openTarget([MIB]);
    const { target } = opened;
    target.ship(3);
    target.complete();
    const client = await opened.connect('vda');
    await client.write(0, pattern(512, 1));
    target.closeEpoch(3);
    await client.write(512, pattern(512, 2));
    target.closeEpoch(4);
    await client.write(1024, pattern(512, 3));
    target.closeEpoch(5);
    target.closeEpoch(6);
    await client.write(1536, pattern(512, 4));
    expect((await takeEpoch(target, 3)).records.map(({ offset }) => offset)).toEqual([0]);
    expect((await takeEpoch(target, 4)).records.map(({ offset }) => offset)).toEqual([512]);
    expect((await takeEpoch(target, 5)).records.map(({ offset }) => offset)).toEqual([1024]);
    expect((await takeEpoch(target, 6)).records).toEqual([]);
    expect(await take(target)).toMatchObject({ epoch: 7, endsEpoch: false });
  });

  it('moves only forward', async () => {
    await using opened = await openTarget([]);
    const { target } = opened;
    target.ship(5);
    target.closeEpoch(4);
    target.closeEpoch(5);
    target.closeEpoch(5);
    target.closeEpoch(6);
    expect(await take(target)).toMatchObject({ epoch: 5, endsEpoch: true });
    expect(await take(target)).toMatchObject({ epoch: 6, endsEpoch: true });
  });

  it('marks epochs for a guest without disks', async () => {
    await using opened = await openTarget([]);
    const { target } = opened;
    target.ship(1);
    target.closeEpoch(1);
    expect(await take(target)).toMatchObject({ bytes: 0, epoch: 1, intact: false });
    target.complete();
    target.closeEpoch(2);
    expect(await take(target)).toEqual(
      expect.objectContaining({ bytes: 0, epoch: 2, endsEpoch: true, intact: true }),
    );
  });

  it('is intact only while every connection is unbroken since complete()', async () => {
    await using opened = await openTarget([MIB, MIB]);
    const { target } = opened;
    const ends = async (epoch: number) => {
      target.closeEpoch(epoch);
      return (await takeEpoch(target, epoch)).intact;
    };
    target.ship(1);
    const a = await opened.connect('vda');
    const b = await opened.connect('vdb');
    expect(await ends(1)).toBe(false);
    target.complete();
    expect(await ends(2)).toBe(true);
    expect(target.stats().disks).toMatchObject([{ unbroken: true }, { unbroken: true }]);
    await b.close();
    expect(await opened.trouble('disconnected')).toMatchObject({ disk: 'vdb' });
    expect(await ends(3)).toBe(false);
    await opened.connect('vdb');
    expect(target.stats().disks[1]).toMatchObject({ connected: true, unbroken: false });
    expect(await ends(4)).toBe(false);
    await a.flush();
  });

  it('is not intact when a disk was never connected', async () => {
    await using opened = await openTarget([MIB, MIB]);
    opened.target.ship(1);
    await opened.connect('vda');
    opened.target.complete();
    opened.target.closeEpoch(1);
    expect(await takeEpoch(opened.target, 1)).toMatchObject({ intact: false });
  });

  it('forgets the end of epochs with the log', async () => {
    await using opened = await openTarget([]);
    opened.target.ship(1);
    opened.target.closeEpoch(1);
    opened.target.forget();
    opened.target.closeEpoch(2);
    opened.target.ship(10);
    opened.target.closeEpoch(10);
    expect(await take(opened.target)).toMatchObject({ epoch: 10, endsEpoch: true });
  });
});
