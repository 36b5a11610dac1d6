/** Storage that fails: what was not committed is never reported as committed, and nothing is applied by half. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { native } from '../../../src/native.js';
import { ADDON } from './journal-trace.js';
import {
  applyToModel,
  at,
  chunkOf,
  type DiskRecord,
  Replica,
  recordsOf,
} from './store-builders.js';

const MIB = 1024 * 1024;
const withCode = (code: string) => expect.objectContaining({ code });

describe('a file system that is full', () => {
  let small: string;
  beforeEach(() => {
    small = mkdtempSync(join(tmpdir(), 'understudy-small-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'none', small]);
  });
  afterEach(() => {
    execFileSync('umount', [small]);
    rmSync(small, { recursive: true });
  });

  const big: DiskRecord = { kind: 'write', disk: 0, offset: 0, data: Buffer.alloc(3 * MIB, 7) };
  const little: DiskRecord = { kind: 'write', disk: 0, offset: 0, data: Buffer.alloc(512, 5) };

  it('with the journal refuses a commit; after discarding, smaller ones go on', async () => {
    const disks = Replica.make([8 * MIB]);
    const options = { journalDirectory: join(small, 'journal'), disks: disks.disks };
    const store = await native.disks.openStore(options);
    await store.beginCopy();
    await store.commit([], at(0));
    await expect(store.commit([chunkOf(big)], at(1))).rejects.toEqual(withCode('ENOSPC'));
    // What was staged before is incomplete now.
    await expect(store.commit([chunkOf(little)], at(1))).rejects.toEqual(withCode('STORE_STATE'));
    await store.discardStaged();
    await store.commit([chunkOf(little)], at(1));
    await store.close();
    expect(native.disks.readRecord(options.journalDirectory).position?.epoch).toBe(1);
    expect(disks.contents()[0]?.subarray(0, 1024)).toEqual(
      Buffer.concat([Buffer.alloc(512, 5), Buffer.alloc(512)]),
    );
    disks.remove();
  });

  it('with the disks keeps the transaction in the journal, for when there is room', async () => {
    const replica = Replica.make([8 * MIB], small);
    const journalDirectory = mkdtempSync(join(tmpdir(), 'understudy-journal-'));
    const options = { journalDirectory, disks: replica.disks };
    const store = await native.disks.openStore(options);
    await store.beginCopy();
    await store.commit([chunkOf(little)], at(0));
    await expect(store.commit([chunkOf(big)], at(1))).rejects.toEqual(withCode('ENOSPC'));
    await expect(store.commit([], at(2))).rejects.toEqual(withCode('STORE_BROKEN'));
    await expect(store.goLive(at(1))).rejects.toEqual(withCode('STORE_BROKEN'));
    await store.close();
    await expect(native.disks.openStore(options)).rejects.toEqual(withCode('ENOSPC'));

    execFileSync('mount', ['-o', 'remount,size=16m', small]);
    const reopened = await native.disks.openStore(options);
    expect(reopened.replayed).toBe(true);
    expect(reopened.record.position?.epoch).toBe(1);
    await reopened.close();
    expect(
      replica
        .contents()[0]
        ?.subarray(0, 3 * MIB)
        .equals(Buffer.alloc(3 * MIB, 7)),
    ).toBe(true);
    rmSync(journalDirectory, { recursive: true });
  });
});

describe('a system call that fails', () => {
  const SIZES = [16_384, 8192];
  const EPOCHS = 3;
  const recordsAt = (epoch: number) => recordsOf(epoch + 100, SIZES, 4);

  let replica: Replica;
  beforeEach(() => {
    replica = Replica.make(SIZES, '/dev/shm');
  });
  afterEach(() => replica.remove());

  /** Commits the epochs; prints each that resolved, then the code with which one was rejected. */
  function commitWithFault(inject: string): { epochs: number[]; code: string | undefined } {
    const calls = Array.from({ length: EPOCHS }, (_, i) => {
      const chunk = chunkOf(...recordsAt(i + 1)).toString('base64');
      const commit = `store.commit([Buffer.from('${chunk}', 'base64')], ${JSON.stringify(at(i + 1))})`;
      return `await ${commit}; console.log(${i + 1});`;
    });
    const options = { journalDirectory: replica.journal, disks: replica.disks };
    const program = `(async () => {
      const store = await require(${JSON.stringify(ADDON)}).disks.openStore(${JSON.stringify(options)});
      ${calls.join('\n')}
    })().catch((error) => console.log(error.code));`;
    const strace = ['-f', '-qq', '-o', '/dev/null', '-e', 'trace=pwritev,fdatasync'];
    const run = [...strace, '-e', `inject=${inject}`, process.execPath, '-e', program];
    const lines = spawnSync('strace', run, { encoding: 'utf8' }).stdout.trim().split('\n');
    return {
      epochs: lines.filter((line) => /^\d+$/.test(line)).map(Number),
      code: lines.find((line) => /^[A-Z_]+$/.test(line)),
    };
  }

  it.each<[string, string, string[]]>([
    // A record whose flush failed can still be read, and then counts: it is flushed anew at opening.
    ['fdatasync', 'EIO', ['none', 'under way']],
    ['pwritev', 'EIO', ['none', 'promised', 'under way']],
    ['pwritev', 'ENOSPC', ['none', 'promised', 'under way']],
  ])(
    '(%s: %s) at any time leaves the epoch that was promised, or the one under way',
    async (call, error, outcomes) => {
      const seen = new Set<string>();
      for (let when = 1; !seen.has('none'); when += 1) {
        replica.disks.forEach(({ path, bytes }) => {
          writeFileSync(path, Buffer.alloc(bytes));
        });
        rmSync(replica.journal, { recursive: true, force: true });
        await (await replica.openAtEpoch0()).close();
        const { epochs, code } = commitWithFault(`${call}:error=${error}:when=${when}`);
        const promised = epochs.length;
        expect(code).toBe(promised < EPOCHS ? error : undefined);
        const store = await replica.open();
        const epoch = store.record.position?.epoch ?? -1;
        await store.close();
        expect([promised, promised + 1], `${when}`).toContain(epoch);
        const model = SIZES.map((bytes) => Buffer.alloc(bytes));
        for (let e = 1; e <= epoch; e += 1) applyToModel(model, recordsAt(e));
        expect(replica.contents(), `${when}`).toEqual(model);
        seen.add(code === undefined ? 'none' : epoch === promised ? 'promised' : 'under way');
      }
      expect(seen).toEqual(new Set(outcomes));
    },
    60_000,
  );
});
