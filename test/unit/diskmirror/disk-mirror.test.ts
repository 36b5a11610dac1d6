/** The mirror's memory of what its backup misses: when it may be trusted. The jobs are stood in for by an NBD client. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deferred } from '../../../src/deferred.js';
import { DiskMirror, type MirrorLink } from '../../../src/diskmirror/disk-mirror.js';
import { DIGEST_BLOCK_BYTES_MIN } from '../../../src/diskmirror/limits.js';
import { DIGEST_BYTES, type ReplicaAnswer } from '../../../src/diskmirror/resync-plan.js';
import { wireError } from '../../../src/wire/errors.js';
import { NbdClient } from './nbd-client.js';

const SESSION = 'cd'.repeat(16);
const DISK_BYTES = 1024 * 1024;
const fresh: ReplicaAnswer = { record: { state: 'none' }, fresh: [true] };
const whole = (epoch: number): ReplicaAnswer => ({
  record: { state: 'consistent', position: { session: SESSION, term: 1, epoch } },
  fresh: [false],
});

describe('a mirror whose backup is lost', () => {
  let directory: string;
  let mirror: DiskMirror;
  let clients: NbdClient[];
  let losses: Error[];
  let jobsLive: boolean;
  let breakLink: () => void;
  /** What the next jobs are ready after. */
  let ready: Promise<void>;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'mirror-'));
    clients = [];
    losses = [];
    jobsLive = true;
    ready = Promise.resolve();
    const socketPath = join(directory, 'nbd');
    mirror = new DiskMirror({
      domain: 'web',
      session: SESSION,
      disks: [{ name: 'vda', bytes: DISK_BYTES }],
      socketPath,
      ownerUid: 0,
      spillDirectory: directory,
      shiftBarrier: false,
      startJobs: async () => {
        const client = await NbdClient.connect(socketPath, 'vda');
        clients.push(client);
        jobsLive = true;
        const ended = deferred();
        ended.promise.catch(() => undefined);
        return {
          ready: () => Promise.race([ready, ended.promise]),
          progress: async () => ({ doneBytes: 0, totalBytes: 0 }),
          prove: async () => {
            if (!jobsLive) throw new Error('the job is gone');
          },
          end: async () => {
            ended.reject(new Error('ended'));
            await client.close();
          },
        };
      },
      onLost: (error) => losses.push(error),
    });
  });
  afterEach(async () => {
    await mirror.close();
    rmSync(directory, { recursive: true });
  });

  /** A backup that answers with zero digests, until its link breaks. */
  function linkTo(replica: ReplicaAnswer, firstEpoch: number): MirrorLink {
    let broken = false;
    breakLink = () => {
      broken = true;
    };
    return {
      term: 1,
      firstEpoch,
      replica,
      channel: {
        sendInPlace: async () => {
          if (broken) throw wireError('WIRE_CLOSED', 'cut');
        },
        sendMessage: async () => {
          const blocks = DISK_BYTES / DIGEST_BLOCK_BYTES_MIN;
          const digests = Buffer.alloc(blocks * DIGEST_BYTES);
          setImmediate(() => mirror.onDigests({ disk: 0, firstBlock: 0, digests }));
        },
      },
    };
  }

  const begin = (replica: ReplicaAnswer, firstEpoch: number): Promise<void> =>
    mirror.begin(linkTo(replica, firstEpoch), () => undefined);

  /** More parts than there are frames, so that a broken link is met. */
  async function write(): Promise<void> {
    for (let at = 0; at < 8; at += 1) {
      await clients.at(-1)?.write(at * 65_536, Buffer.alloc(65_536, at + 1));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  const loseLink = (): Promise<void> => mirror.linkLost(wireError('WIRE_CLOSED', 'cut'));

  it('remembers what it did not carry, and replays it', async () => {
    await begin(fresh, 1);
    mirror.recorded(1);
    breakLink();
    await write();
    await loseLink();
    expect(mirror.stats?.mode).toBe('remembering');
    expect(losses).toEqual([]);
    await begin(whole(1), 2);
    expect(mirror.how).toBe('replay');
  });

  it('compares when the backup never had the mirror’s first epoch', async () => {
    await begin(whole(7), 8);
    expect(mirror.how).toBe('compare');
    // What the comparison sent is lost with the link, and the replica is still at its old epoch.
    mirror.recorded(0);
    await loseLink();
    await begin(whole(7), 9);
    expect(mirror.how).toBe('compare');
  });

  it('compares when a job did not live through the outage', async () => {
    await begin(fresh, 1);
    mirror.recorded(1);
    await loseLink();
    jobsLive = false;
    await begin(whole(1), 2);
    expect(mirror.how).toBe('compare');
    expect(losses).toHaveLength(1);
  });

  it('compares when a connection did not live through the outage', async () => {
    await begin(fresh, 1);
    mirror.recorded(1);
    await loseLink();
    await clients[0]?.close();
    await expect.poll(() => losses.length).toBe(1);
    await begin(whole(1), 2);
    expect(mirror.how).toBe('compare');
  });

  it('compares after it could not be proven at a pause', async () => {
    await begin(fresh, 1);
    mirror.recorded(1);
    jobsLive = false;
    await expect(mirror.proveEpoch(2)).rejects.toThrow('the job is gone');
    await loseLink();
    expect(mirror.stats).toBeUndefined();
    await begin(whole(1), 3);
    expect(mirror.how).toBe('compare');
  });

  it('begins anew in the middle of a first copy', async () => {
    ready = new Promise(() => undefined);
    const first = begin(fresh, 1);
    first.catch(() => undefined);
    await expect.poll(() => clients.length).toBe(1);
    await loseLink();
    await expect(first).rejects.toThrow();
    ready = Promise.resolve();
    await begin(whole(0), 2);
    expect(mirror.how).toBe('compare');
    mirror.recorded(2);
    await loseLink();
    expect(mirror.stats?.mode).toBe('remembering');
  });

  it('replays again what an earlier replay may not have brought home', async () => {
    await begin(fresh, 1);
    mirror.recorded(1);
    await loseLink();
    await begin(whole(1), 2);
    await write();
    await loseLink();
    await begin(whole(1), 3);
    expect(mirror.how).toBe('replay');
  });
});

it('says why a mirror cannot be started', async () => {
  const mirror = new DiskMirror({
    domain: 'web',
    session: SESSION,
    disks: [],
    socketPath: '/proc/nowhere/nbd',
    ownerUid: 0,
    spillDirectory: tmpdir(),
    shiftBarrier: false,
    startJobs: () => Promise.reject(new Error('not reached')),
    onLost: () => undefined,
  });
  const channel = { sendInPlace: async () => undefined, sendMessage: async () => undefined };
  const link = { channel, term: 1, firstEpoch: 1, replica: { ...fresh, fresh: [] } };
  await expect(mirror.begin(link, () => undefined)).rejects.toMatchObject({
    code: 'DISK_MIRROR_NOT_STARTED',
    message: expect.stringContaining('/proc/nowhere/nbd'),
  });
});
