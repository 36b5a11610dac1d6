/**
 * One block copy per disk of a guest, to an NBD server of ours, all alive or all ended.
 *
 * Once a job is ready, a write of the guest returns only when the server has it too. When a job
 * fails, QEMU lets the guest's writes go on without it and says so in an event some 10 ms later: so
 * each pause asks again (`prove`) before its epoch may count. The server must be one that can always
 * close its connections: while a target hangs, so do the guest's writes, the monitor and every call here.
 *
 * What reaches the target (QEMU's block/mirror.c): writes as the guest made them, up to 32 MiB and aligned
 * to 512 bytes; zeroes; never a trim (the mirror drops them, for the source too), a read or a guest's flush.
 */
import { messageOf, type UnderstudyError } from '../errors.js';
import type { BlockJobEvent } from './block-jobs.js';
import { diskLook, isUnwritten, type Look, type WrittenDisk } from './disk-writes.js';
import type { ProtectedDomain } from './domain.js';
import { hypervisorError } from './errors.js';
import { endMirror } from './leftover-jobs.js';
import { type BlockJob, blockJobs, isMirrorOf, mirrorFault } from './mirror-state.js';
import { escapeXml } from './xml.js';

/** What mirror jobs need of their connection. */
export interface MirrorHost {
  /** Block job events of that domain; returns what unsubscribes. */
  onBlockJob(uuid: string, listener: (event: BlockJobEvent) => void): () => void;
  /** Calls back when no QEMU of the domain is left; returns what unsubscribes. */
  onGone(uuid: string, listener: (reason: string) => void): () => void;
}

export interface MirrorOptions {
  /** Where our NBD server listens; its exports are named like the disks. */
  socketPath: string;
  /** By target: vda. */
  disks: readonly ({ name: string } & Partial<WrittenDisk>)[];
  /** Called once, when a job of ours ended that nobody asked to end; not before `start` has returned. */
  onLost: (error: UnderstudyError) => void;
}

export interface MirrorProgress {
  /** `totalBytes` grows when the guest writes what was copied already. */
  doneBytes: number;
  totalBytes: number;
}

interface Waiter {
  resolve: () => void;
  reject: (error: UnderstudyError) => void;
}

export class MirrorJobs {
  readonly #domain: ProtectedDomain;
  readonly #onLost: (error: UnderstudyError) => void;
  readonly #unsubscribe: readonly (() => void)[];
  /** Disk → id of its job, in QEMU. */
  readonly #jobs = new Map<string, string>();
  readonly #disks: ReadonlySet<string>;
  readonly #copying: Set<string>;
  #started = false;
  /** While starting: a job on one of our disks was said to have ended. */
  #doubt = false;
  readonly #look: (() => Look) | undefined;
  /** A look after which every job was seen alive. */
  #proven: Look | undefined;
  #over: UnderstudyError | undefined;
  #waiters: Waiter[] = [];

  private constructor(host: MirrorHost, domain: ProtectedDomain, options: MirrorOptions) {
    this.#domain = domain;
    this.#onLost = options.onLost;
    this.#disks = new Set(options.disks.map(({ name }) => name));
    this.#copying = new Set(this.#disks);
    const written = options.disks.flatMap(({ path, format }) =>
      path === undefined || format === undefined ? [] : [{ path, format }],
    );
    this.#look = written.length === options.disks.length ? diskLook(written) : undefined;
    this.#unsubscribe = [
      host.onBlockJob(domain.uuid, (event) => this.#onEvent(event)),
      host.onGone(domain.uuid, (reason) => this.#lose(`the guest is gone: ${reason}`)),
    ];
  }

  /**
   * Starts a job per disk; nothing is left behind on failure.
   * @throws HYP_MIRROR_START_FAILED
   */
  static async start(
    host: MirrorHost,
    domain: ProtectedDomain,
    options: MirrorOptions,
  ): Promise<MirrorJobs> {
    const mirrors = new MirrorJobs(host, domain, options);
    try {
      await mirrors.#start(options);
    } catch (error) {
      await mirrors.#cleanUp();
      throw hypervisorError('HYP_MIRROR_START_FAILED', messageOf(error), {
        operation: 'start mirrors',
        domain: domain.name,
        cause: error,
      });
    }
    return mirrors;
  }

  /** Resolves when every target holds its disk and writes wait for it. @throws HYP_MIRROR_LOST, also after `end()` */
  ready(): Promise<void> {
    if (this.#over !== undefined) return Promise.reject(this.#over);
    if (this.#copying.size === 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
    });
  }

  /** @throws HYP_MIRROR_LOST and what a monitor command throws */
  async progress(): Promise<MirrorProgress> {
    const own = await this.#ownJobs();
    return {
      doneBytes: own.reduce((sum, { offset }) => sum + offset, 0),
      totalBytes: own.reduce((sum, { len }) => sum + len, 0),
    };
  }

  /**
   * Returns when it is certain that no write of the guest until now is missing at its target. Where nothing was
   * written since the jobs were last seen alive there is nothing to ask; else one question to QEMU.
   * @throws HYP_MIRROR_LOST and what a monitor command throws
   */
  async prove(): Promise<void> {
    if (this.#over !== undefined) throw this.#over;
    const now = this.#look?.();
    if (now !== undefined && this.#proven !== undefined && isUnwritten(this.#proven, now)) return;
    await this.#ownJobs(mirrorFault);
    this.#proven = now;
  }

  /**
   * Ends the jobs; one that has ended already is fine. Bounded: while a target hangs this fails, and its owner
   * must close it. @throws HYP_MONITOR_TIMED_OUT, LIBVIRT_…
   */
  async end(): Promise<void> {
    this.#stop();
    for (const disk of this.#jobs.keys()) {
      await endMirror(this.#domain, disk);
      this.#jobs.delete(disk);
    }
  }

  async #start({ socketPath, disks }: MirrorOptions): Promise<void> {
    for (const { name } of disks) {
      await this.#domain.mirrorDisk(name, destinationXml(name, socketPath));
      this.#jobs.set(name, '');
    }
    // An end that was told meanwhile may be that of an earlier job on the same disk: ask again.
    do {
      this.#doubt = false;
      await this.#findJobs();
    } while (this.#doubt);
    if (this.#over !== undefined) throw this.#over;
    this.#started = true;
  }

  async #findJobs(): Promise<void> {
    const present = await blockJobs(this.#domain);
    for (const disk of this.#jobs.keys()) {
      const job = present.find(({ device }) => isMirrorOf(disk, device));
      if (job === undefined) throw this.#lost(`${disk}: its job has ended already`);
      this.#jobs.set(disk, job.device);
      // Its event has come before or is on its way.
      if (job.ready) this.#onReady(disk);
    }
  }

  async #ownJobs(fault?: (job: BlockJob) => string | undefined): Promise<BlockJob[]> {
    if (this.#over !== undefined) throw this.#over;
    if (this.#jobs.size === 0) return [];
    const present = await blockJobs(this.#domain);
    return [...this.#jobs].map(([disk, id]) => {
      const job = present.find(({ device }) => device === id);
      const why = job === undefined ? 'its job is gone' : fault?.(job);
      if (job === undefined || why !== undefined) throw this.#lost(`${disk}: ${why}`);
      return job;
    });
  }

  #onEvent({ disk, kind }: BlockJobEvent): void {
    if (!this.#disks.has(disk)) return;
    if (kind === 'ready') this.#onReady(disk);
    else if (!this.#started) this.#doubt = true;
    else {
      this.#jobs.delete(disk);
      this.#lose(`${disk}: its job is ${kind}`);
    }
  }

  #onReady(disk: string): void {
    this.#copying.delete(disk);
    if (this.#copying.size > 0) return;
    for (const { resolve } of this.#waiters.splice(0)) resolve();
  }

  #lose(why: string): void {
    if (this.#over !== undefined) return;
    const error = this.#finish(this.#lost(why));
    if (this.#started) this.#onLost(error);
  }

  #finish(error: UnderstudyError): UnderstudyError {
    this.#over = error;
    for (const { reject } of this.#waiters.splice(0)) reject(error);
    return error;
  }

  #stop(): void {
    if (this.#over === undefined) this.#finish(this.#lost('the mirrors were ended'));
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
  }

  /** After a start that failed; that is the error the caller gets, and what remains here is found by the next start. */
  async #cleanUp(): Promise<void> {
    await this.end().catch(() => undefined);
  }

  #lost(why: string): UnderstudyError {
    return hypervisorError('HYP_MIRROR_LOST', `mirror of ${this.#domain.name} ${why}`, {
      operation: 'mirror disks',
      domain: this.#domain.name,
    });
  }
}

function destinationXml(exportName: string, socketPath: string): string {
  return `<disk type='network' device='disk'><driver name='qemu' type='raw'/>
  <source protocol='nbd' name='${escapeXml(exportName)}'>
    <host transport='unix' socket='${escapeXml(socketPath)}'/>
  </source></disk>`;
}
