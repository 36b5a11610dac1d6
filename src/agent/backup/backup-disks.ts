/**
 * The replica's disks of one connected primary: files found or made, the journal recovered, the write
 * log received. What a takeover needs of them is `finish` and then `goLive`.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { blockCount, encodeDigests } from '../../diskmirror/digest-frames.js';
import { DiskReceiver } from '../../diskmirror/disk-receiver.js';
import type { DiskRecords } from '../../diskmirror/disk-record.js';
import { diskError } from '../../diskmirror/errors.js';
import { DIGESTS_PER_FRAME } from '../../diskmirror/limits.js';
import { findReplicas, makeReplicas, type ReplicaFile } from '../../diskmirror/replica-files.js';
import type { ReplicaAnswer } from '../../diskmirror/resync-plan.js';
import { messageOf } from '../../errors.js';
import type { ReplicaDisk } from '../../hypervisor/replica-disks.js';
import { type NativeDiskStore, native } from '../../native.js';
import type { FrameChannel } from '../../wire/channel.js';
import { wireError } from '../../wire/errors.js';
import type { Message } from '../../wire/messages.js';
import { LOG_EVENTS, type Log } from '../log.js';
import type { DiskStatus, ReplicaDisksSummary } from '../status.js';

export interface BackupDisksOptions {
  replicaDir: string;
  records: DiskRecords;
  term: number;
  /** Address of the primary’s host. */
  peerHost: string;
  log: Log;
  recycle: (chunk: Buffer) => void;
  onFailed: (error: Error) => void;
}

export class BackupDisks {
  readonly receiver: DiskReceiver;
  #isLive = false;

  private constructor(
    private readonly store: NativeDiskStore,
    private readonly term: number,
    private readonly files: readonly ReplicaFile[],
    private readonly hello: Message<'helloCheckpoints'>,
    readonly answer: ReplicaAnswer,
    options: BackupDisksOptions & { writesThrough: boolean },
  ) {
    this.receiver = new DiskReceiver({
      store,
      session: hello.session,
      firstEpoch: hello.firstEpoch,
      term: options.term,
      writesThrough: options.writesThrough,
      newHasher: () => native.memory.hasher(),
      recycle: options.recycle,
      onFailed: options.onFailed,
    });
  }

  /** Throws a typed error to refuse with; disks that hold something are unharmed. Undefined without disks. */
  static async open(
    hello: Message<'helloCheckpoints'>,
    options: BackupDisksOptions,
  ): Promise<BackupDisks | undefined> {
    const { domain, disks, agentPort } = hello;
    if (disks.length === 0) return undefined;
    const { records, replicaDir, peerHost, log } = options;
    const known = await records.read(domain);
    const files = await findReplicas({ domain, disks, replicaDir, known });
    await makeReplicas(files);
    const store = await openStore(records.journalDirectory(domain), files, known?.disks);
    try {
      const { record } = store;
      const fresh = files.map((file) => file.fresh);
      log.info(LOG_EVENTS.disksFound, { record, replayed: store.replayed, fresh });
      // With no whole copy to lose, the journal would only double the work.
      const writesThrough = record.state === 'copying' || fresh.includes(true);
      if (writesThrough) await store.beginCopy();
      await records.write({
        domain,
        disks: onHost(files),
        peer: { host: peerHost, port: agentPort },
      });
      return new BackupDisks(
        store,
        options.term,
        files,
        hello,
        { record, fresh },
        { ...options, writesThrough },
      );
    } catch (cause) {
      await store.close();
      throw diskError('DISK_STORE_FAILED', messageOf(cause), { domain, cause });
    }
  }

  get status(): DiskStatus[] {
    return onHost(this.files);
  }

  get summary(): ReplicaDisksSummary {
    const { recordedEpoch, receivedBytes } = this.receiver;
    return { recordedEpoch, receivedBytes };
  }

  /** For the standby's XML. */
  get standbyDisks(): readonly ReplicaDisk[] {
    return this.files;
  }

  /** Answers `compareDisks`, frame by frame. */
  async sendDigests(request: Message<'compareDisks'>, channel: FrameChannel): Promise<void> {
    const seed = BigInt(request.seed);
    for (const { disk, blockBytes } of request.disks) {
      const file = this.files[disk];
      if (file === undefined) throw wireError('WIRE_UNEXPECTED', `there is no disk ${disk}`);
      const blocks = blockCount(file.bytes, blockBytes);
      for (let firstBlock = 0; firstBlock < blocks; firstBlock += DIGESTS_PER_FRAME) {
        const count = Math.min(DIGESTS_PER_FRAME, blocks - firstBlock);
        const digests = await this.store.digests({ disk, blockBytes, seed, firstBlock, count });
        const part = encodeDigests({ disk, firstBlock, digests });
        await channel.send({ type: 'diskDigests', epoch: 0, term: this.term }, part);
      }
    }
  }

  /** The disks hold exactly the committed epoch, durably; what came after it is gone. Resolves with that epoch. */
  async finish(): Promise<number> {
    await this.receiver.discardIncomplete();
    await this.receiver.finishApplying();
    return this.receiver.recordedEpoch;
  }

  /** From now on a guest writes to the disks: nothing is ever applied to them again. */
  async goLive(term: number, epoch: number): Promise<void> {
    await this.store.goLive({ session: this.hello.session, term, epoch });
    this.#isLive = true;
    await this.store.close();
  }

  /** Keeps what is committed; the files stay. Nothing is left to do once a guest has them. */
  async close(log: Log): Promise<void> {
    if (this.#isLive) return;
    try {
      await this.finish();
    } catch (error) {
      // Said by `onFailed` already; the journal has what was committed before.
      log.warn(LOG_EVENTS.teardown, { step: 'disks', error: messageOf(error) });
    }
    await this.store.close();
  }
}

function onHost(files: readonly ReplicaFile[]) {
  return files.map(({ name, bytes, path, format }) => ({ name, bytes, path, format }));
}

/** A journal for other disks than these tells nothing about them: it is put aside. */
async function openStore(
  journalDirectory: string,
  files: readonly ReplicaFile[],
  known: readonly { path: string; bytes: number }[] | undefined,
): Promise<NativeDiskStore> {
  const same =
    known?.length === files.length &&
    files.every(({ path, bytes, fresh }, index) => {
      const before = known[index];
      return !fresh && before?.path === path && before.bytes === bytes;
    });
  if (!same) await discard(journalDirectory);
  await mkdir(dirname(journalDirectory), { recursive: true, mode: 0o700 });
  try {
    return await native.disks.openStore({ journalDirectory, disks: files });
  } catch (cause) {
    const damaged = (cause as NodeJS.ErrnoException).code === 'JOURNAL_DAMAGED';
    const message = `${journalDirectory}: ${messageOf(cause)}`;
    throw diskError(damaged ? 'DISK_JOURNAL_DAMAGED' : 'DISK_REPLICA_UNUSABLE', message, { cause });
  }
}

/** Renamed first, so that a half removed journal is never found. */
async function discard(journalDirectory: string): Promise<void> {
  const aside = `${journalDirectory}.${randomUUID()}`;
  try {
    await rename(journalDirectory, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  await rm(aside, { recursive: true, force: true });
}
