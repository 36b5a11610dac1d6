import { mkdirSync, mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DisksOnHost } from '../../../src/diskmirror/disk-record.js';
import { findReplicas, makeReplicas } from '../../../src/diskmirror/replica-files.js';

const MIB = 1024 ** 2;
let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'replicas-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const vda = { name: 'vda', bytes: 8 * MIB };
const peer = { host: '10.0.0.1', port: 7788 };
const find = (disks = [vda], known?: DisksOnHost) =>
  findReplicas({ domain: 'web', disks, replicaDir: directory, known });
const own = () => join(directory, 'web', 'vda.raw');

function image(path: string, bytes: number): string {
  writeFileSync(path, '');
  truncateSync(path, bytes);
  return path;
}

describe('the file of a replica', () => {
  it('is made sparse where there is none, and found again', async () => {
    const [first] = await find();
    expect(first).toMatchObject({ path: own(), fresh: true, block: false });
    await makeReplicas(first === undefined ? [] : [first]);
    expect(statSync(own())).toMatchObject({ size: 8 * MIB, blocks: 0 });
    expect(await find()).toMatchObject([{ path: own(), fresh: false }]);
  });

  it('is the raw disk that the domain had on this host', async () => {
    const path = image(join(directory, 'old.img'), vda.bytes);
    const known = { domain: 'web', disks: [{ ...vda, path, format: 'raw' as const }], peer };
    expect(await find([vda], known)).toMatchObject([{ path, fresh: false }]);
  });

  it('is never the qcow2 disk that the domain had on this host', async () => {
    const path = image(join(directory, 'old.qcow2'), 200_000);
    const known = { domain: 'web', disks: [{ ...vda, path, format: 'qcow2' as const }], peer };
    expect(await find([vda], known)).toMatchObject([{ path: own(), fresh: true }]);
  });

  it('is made anew when the disk has another size now', async () => {
    mkdirSync(join(directory, 'web'));
    image(own(), MIB);
    const files = await find();
    expect(files).toMatchObject([{ path: own(), fresh: true }]);
    await makeReplicas(files);
    expect(statSync(own()).size).toBe(vda.bytes);
  });
});

describe('a replica is refused', () => {
  it('where a file that is not ours has another size', async () => {
    const path = image(join(directory, 'old.img'), MIB);
    const known = { domain: 'web', disks: [{ ...vda, path, format: 'raw' as const }], peer };
    await expect(find([vda], known)).rejects.toMatchObject({
      code: 'DISK_REPLICA_UNUSABLE',
      message: expect.stringContaining(path),
    });
    expect(statSync(path).size).toBe(MIB);
  });

  it('where something else than a file or device is', async () => {
    mkdirSync(own(), { recursive: true });
    await expect(find()).rejects.toMatchObject({ code: 'DISK_REPLICA_UNUSABLE' });
  });

  it('when it could outgrow the file system', async () => {
    await expect(find([{ name: 'vda', bytes: 2 ** 50 }])).rejects.toMatchObject({
      code: 'DISK_NO_SPACE',
    });
  });
});
