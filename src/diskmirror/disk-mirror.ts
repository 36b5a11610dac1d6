/**
 * The primary's mirror of a domain's disks: the NBD target that QEMU's mirror jobs write to, the jobs,
 * and the write log's way to the backup. It outlives a lost backup: while the mirrors are whole, what
 * the backup misses is remembered here.
 *
 * There is a target also for a domain without disks: its guard frees a guest that is held in the pause
 * gate by a process of ours that stands still.
 */
import { randomInt } from 'node:crypto';
import { messageOf, UnderstudyError } from '../errors.js';
import {
  type NativeBoundary,
  type NativeMirrorStats,
  type NativeMirrorTarget,
  type NativeMirrorTrouble,
  native,
} from '../native.js';
import type { FrameChannel } from '../wire/channel.js';
import type { CarriedDisk, DiskPosition, EpochLog } from '../wire/messages.js';
import { DigestCollector } from './digest-collector.js';
import type { DigestPart } from './digest-frames.js';
import { diskError } from './errors.js';
import {
  FREEZE_MS_MAX,
  LOG_MEMORY_BYTES_MAX,
  LOG_SPILL_BYTES_MAX,
  REMEMBER_BYTES_MAX,
} from './limits.js';
import { LogShipper } from './log-shipper.js';
import { type DiskPlan, planResync, type ReplicaAnswer, type ResyncPlan } from './resync-plan.js';

/** QEMU's mirror jobs of all disks, driven as one. */
export interface MirrorJobs {
  /** Resolves when every job is ready; rejects when one ended. */
  ready(): Promise<void>;
  progress(): Promise<{ doneBytes: number; totalBytes: number }>;
  /** Throws unless every job is there, whole and ready, in this moment. */
  prove(): Promise<void>;
  end(): Promise<void>;
}

export interface DiskMirrorOptions {
  domain: string;
  session: string;
  disks: readonly CarriedDisk[];
  socketPath: string;
  /** QEMU's user. */
  ownerUid: number;
  /** For what does not fit into memory; on a real disk. */
  spillDirectory: string;
  shiftBarrier: boolean;
  startJobs: (onLost: (error: Error) => void) => Promise<MirrorJobs>;
  /** A mirror broke: no later epoch may count. Once per `begin`. */
  onLost: (error: Error) => void;
}

/** The way to the backup of one attempt. */
export interface MirrorLink {
  channel: Pick<FrameChannel, 'sendInPlace' | 'sendMessage'>;
  term: number;
  firstEpoch: number;
  replica: ReplicaAnswer;
}

export interface DiskSyncProgress {
  how: 'copy' | 'compare' | 'replay';
  doneBytes: number;
  totalBytes: number;
}

/** How often the progress of a first copy is asked for. */
const PROGRESS_EVERY_MS = 500;

export class DiskMirror {
  #target: NativeMirrorTarget | undefined;
  #jobs: MirrorJobs | undefined;
  #shipper: LogShipper | undefined;
  #digests: DigestCollector | undefined;
  #gateFd = -1;
  /** The jobs were ready and nothing has interrupted them since. */
  #whole = false;
  #remembering = false;
  /** The first epoch that stands on what this target has seen; the log of earlier ones is not kept. */
  #wholeFromEpoch = Number.POSITIVE_INFINITY;
  #recordedEpoch = 0;
  /** Counts targets: what an old one still has to say does not concern the present one. */
  #targets = 0;
  #lost: Error | undefined;
  #how: DiskSyncProgress['how'] = 'copy';

  constructor(private readonly options: DiskMirrorOptions) {}

  /** Of the present target: take it anew for each attempt, after `begin`. */
  get boundary(): NativeBoundary {
    return this.#present().boundary;
  }

  get stats(): NativeMirrorStats | undefined {
    return this.#target?.stats();
  }

  get how(): DiskSyncProgress['how'] {
    return this.#how;
  }

  get shippedBytes(): number {
    return this.#shipper?.bytes ?? 0;
  }

  /** The epoch since which every write is remembered, proven, if that is so. */
  async #remembered(): Promise<DiskPosition | undefined> {
    const epoch = this.#recordedEpoch;
    if (!this.#remembering || epoch < this.#wholeFromEpoch) return undefined;
    try {
      await this.#jobs?.prove();
    } catch (error) {
      this.#lose(error as Error);
    }
    const remembers = this.#target?.stats().mode === 'remembering';
    if (!this.#whole || !remembers) return undefined;
    return { session: this.options.session, term: 0, epoch };
  }

  /** The pause gate's reading end, or -1: the guard drains it when this process stands still. */
  guardGate(gateFd: number): void {
    this.#gateFd = gateFd;
    this.#target?.guardGate(gateFd);
  }

  /**
   * Brings the replica's disks up to date and keeps them so: when it resolves, every mirror job is ready
   * and each write is on its way to the backup.
   */
  async begin(link: MirrorLink, onProgress: (progress: DiskSyncProgress) => void): Promise<void> {
    const plan = planResync(this.options.disks, link.replica, await this.#remembered());
    this.#lost = undefined;
    if (plan.how === 'replay') this.#replay(link, onProgress);
    else await this.#mirror(link, plan, onProgress);
  }

  /** Digests that the backup sent. */
  onDigests(part: DigestPart): void {
    this.#digests?.add(part);
  }

  /**
   * What the checkpoint of `epoch` must say of the disks, once all of it is sent; to be called after the
   * pause. Rejects with DISK_MIRROR_LOST (or what the jobs say) unless the mirror was whole at the boundary.
   */
  async proveEpoch(epoch: number): Promise<EpochLog[]> {
    if (this.#lost !== undefined) throw this.#lost;
    const shipper = this.#shipper;
    if (shipper === undefined) throw lostError('nothing is shipped');
    // A job that is there and ready after the pause was so during it: it could not have come back.
    const [logs] = await Promise.all([shipper.closed(epoch), this.#proveJobs()]);
    if (this.#lost !== undefined) throw this.#lost;
    return logs;
  }

  /** What cannot be proven is lost: it must not be remembered as whole either. */
  async #proveJobs(): Promise<void> {
    try {
      await this.#jobs?.prove();
      if (this.#present().stats().interventions > 0) throw lostError('this process stood still');
    } catch (error) {
      this.#lose(error as Error);
      throw error;
    }
  }

  /** The backup's disks hold `epoch` durably: what came until then need not be kept here any longer. */
  recorded(epoch: number): void {
    this.#recordedEpoch = epoch;
    this.#target?.committed(epoch);
  }

  /** There is no backup for now. What it misses is remembered if the mirrors are whole, else found by comparing. */
  async linkLost(error: Error): Promise<void> {
    this.#digests?.fail(error);
    this.#shipper?.fail(error);
    this.#shipper = undefined;
    if (this.#whole && this.#lost === undefined && this.options.disks.length > 0) {
      if (!this.#remembering) this.#target?.remember();
      this.#remembering = true;
    } else await this.close();
  }

  /** Ends jobs and target. QEMU goes on without us. */
  async close(): Promise<void> {
    const jobs = this.#jobs;
    const target = this.#target;
    this.#jobs = undefined;
    this.#target = undefined;
    this.#targets += 1;
    this.#whole = false;
    this.#remembering = false;
    this.#wholeFromEpoch = Number.POSITIVE_INFINITY;
    this.#shipper?.fail(lostError('the mirror was ended'));
    try {
      await jobs?.end();
    } finally {
      // A job that hangs ends with its connection.
      await target?.close();
    }
  }

  #replay(link: MirrorLink, onProgress: (progress: DiskSyncProgress) => void): void {
    const target = this.#present();
    const totalBytes = target.stats().rememberedBytes;
    this.#how = 'replay';
    onProgress({ how: 'replay', doneBytes: 0, totalBytes });
    this.#remembering = false;
    target.replay(link.firstEpoch);
    this.#startShipping(target, link);
  }

  async #mirror(
    link: MirrorLink,
    plan: ResyncPlan & { how: 'mirror' },
    onProgress: (progress: DiskSyncProgress) => void,
  ): Promise<void> {
    await this.close();
    const number = this.#targets;
    const target = await this.#open();
    if (number !== this.#targets) {
      await target.close();
      throw lostError('the mirror was ended');
    }
    this.#target = target;
    target.guardGate(this.#gateFd);
    this.#how = plan.disks.some(({ how }) => how === 'compare') ? 'compare' : 'copy';
    await this.#learn(target, link, plan.disks);
    target.ship(link.firstEpoch);
    this.#startShipping(target, link);
    if (this.options.disks.length > 0) {
      const jobs = await this.options.startJobs((error) => {
        if (number === this.#targets) this.#lose(error);
      });
      // Ended meanwhile: whoever began anew has jobs of his own.
      if (number !== this.#targets) await jobs.end();
      else this.#jobs = jobs;
      await this.#untilReady(jobs, onProgress);
    }
    if (number !== this.#targets) throw lostError('the mirror was ended');
    if (this.#lost !== undefined) throw this.#lost;
    target.complete();
    this.#whole = true;
    this.#wholeFromEpoch = link.firstEpoch;
  }

  /** Tells the target what each replica is known to hold. */
  async #learn(
    target: NativeMirrorTarget,
    link: MirrorLink,
    plans: readonly DiskPlan[],
  ): Promise<void> {
    const seed = BigInt(randomInt(2 ** 47));
    const compared: { disk: number; diskBytes: number; blockBytes: number }[] = [];
    for (const [disk, plan] of plans.entries()) {
      if (plan.how === 'copy') target.setKnown(disk, { content: 'zeroes' });
      else {
        const { blockBytes } = plan;
        target.setKnown(disk, { content: 'digests', blockBytes, seed });
        compared.push({ disk, blockBytes, diskBytes: this.options.disks[disk]?.bytes ?? 0 });
      }
    }
    if (compared.length === 0) return;
    const digests = new DigestCollector(compared, (part) =>
      target.addDigests(part.disk, part.firstBlock, part.digests),
    );
    this.#digests = digests;
    const all = digests.wait();
    // Its rejection is thrown below; a send that fails first must not leave it unmet.
    all.catch(() => undefined);
    const disks = compared.map(({ disk, blockBytes }) => ({ disk, blockBytes }));
    await link.channel.sendMessage(
      'compareDisks',
      'compareDisks',
      { seed: seed.toString(), disks },
      { term: link.term },
    );
    await all;
    this.#digests = undefined;
  }

  #startShipping(target: NativeMirrorTarget, link: MirrorLink): void {
    const shipper = new LogShipper(target, link.channel, {
      term: link.term,
      newHasher: () => native.memory.hasher(),
      ...(this.options.shiftBarrier ? { shiftBarrierFrom: link.firstEpoch + 1 } : {}),
    });
    this.#shipper = shipper;
    shipper.run().catch((error: unknown) => {
      // A link that breaks is no mirror that breaks: what it did not carry is remembered.
      if (this.#shipper === shipper && !isLinkError(error)) this.#lose(error as Error);
    });
  }

  async #untilReady(
    jobs: MirrorJobs,
    onProgress: (progress: DiskSyncProgress) => void,
  ): Promise<void> {
    let asking = false;
    const timer = setInterval(() => {
      if (asking) return;
      asking = true;
      jobs
        .progress()
        .then((progress) => onProgress({ how: this.#how, ...progress }))
        // Only the display; a job that ended is said by `ready`.
        .catch(() => undefined)
        .finally(() => {
          asking = false;
        });
    }, PROGRESS_EVERY_MS);
    try {
      await jobs.ready();
    } finally {
      clearInterval(timer);
    }
  }

  async #open(): Promise<NativeMirrorTarget> {
    const { domain, socketPath, ownerUid, disks, spillDirectory } = this.options;
    const number = this.#targets;
    const opened = native.disks.openMirrorTarget({
      socketPath,
      ownerUid,
      disks,
      memoryBytesMax: LOG_MEMORY_BYTES_MAX,
      spillDirectory,
      spillBytesMax: LOG_SPILL_BYTES_MAX,
      rememberBytesMax: REMEMBER_BYTES_MAX,
      freezeMsMax: FREEZE_MS_MAX,
      onTrouble: (trouble) => {
        if (number === this.#targets) this.#onTrouble(trouble);
      },
    });
    try {
      return await opened;
    } catch (cause) {
      throw diskError('DISK_MIRROR_NOT_STARTED', messageOf(cause), { domain, cause });
    }
  }

  #onTrouble({ kind, disk, reason }: NativeMirrorTrouble): void {
    const what = `${disk === undefined ? '' : `${disk}: `}${kind}: ${reason}`;
    // A stranger that was cut off changes nothing.
    if (kind !== 'protocol') this.#lose(lostError(what));
  }

  #lose(error: Error): void {
    this.#whole = false;
    if (this.#lost !== undefined) return;
    this.#lost = error;
    this.#shipper?.fail(error);
    this.options.onLost(error);
  }

  #present(): NativeMirrorTarget {
    if (this.#target === undefined) throw lostError('there is no mirror');
    return this.#target;
  }
}

function isLinkError(error: unknown): boolean {
  return error instanceof UnderstudyError && error.code.startsWith('WIRE_');
}

function lostError(why: string): Error {
  return diskError('DISK_MIRROR_LOST', why);
}
