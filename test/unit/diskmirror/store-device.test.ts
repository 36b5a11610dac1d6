/** A replica on a block device: exact size, ranges of any alignment, no holes to ask for. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type NativeDiskStore, native } from '../../../src/native.js';
import { applyToModel, at, chunkOf, Replica, recordsOf } from './store-builders.js';

const SIZES = [1024 * 1024 + 512];

let backing: Replica;
let device: string;
beforeEach(() => {
  backing = Replica.make(SIZES);
  const path = backing.disks[0]?.path ?? '';
  device = execFileSync('losetup', ['--find', '--show', path], { encoding: 'utf8' }).trim();
});
afterEach(() => {
  execFileSync('losetup', ['--detach', device]);
  backing.remove();
});

const open = (bytes: number): Promise<NativeDiskStore> =>
  native.disks.openStore({
    journalDirectory: backing.journal,
    disks: [{ path: device, bytes }],
  });

it('holds what was committed', async () => {
  const store = await open(SIZES[0] ?? 0);
  await store.beginCopy();
  await store.commit([], at(0));
  const model = SIZES.map((bytes) => Buffer.alloc(bytes));
  for (let epoch = 1; epoch <= 20; epoch += 1) {
    const records = [
      ...recordsOf(epoch, SIZES, 6),
      { kind: 'write', disk: 0, offset: 4096 * epoch, data: Buffer.alloc(50_000, epoch) } as const,
      { kind: epoch % 2 ? 'trim' : 'zero', disk: 0, offset: 5000 * epoch, length: 30_000 } as const,
    ];
    applyToModel(model, records);
    await store.commit([chunkOf(...records)], at(epoch));
    expect(readFileSync(device).equals(model[0] ?? Buffer.alloc(0)), `epoch ${epoch}`).toBe(true);
  }
  const count = 257;
  const asked = { disk: 0, blockBytes: 4096, seed: 1n, firstBlock: 0, count };
  const digests = await store.digests(asked);
  await store.close();

  const file = await native.disks.openStore({
    journalDirectory: `${backing.directory}/other`,
    disks: backing.disks,
  });
  execFileSync('blockdev', ['--flushbufs', device]);
  expect(await file.digests(asked)).toEqual(digests);
  await file.close();
});

it('is refused when its size differs', async () => {
  await expect(open(1024 * 1024)).rejects.toMatchObject({ code: 'ESIZE' });
});
