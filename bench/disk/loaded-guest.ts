/** One guest of the laboratory that writes to its disk when asked, and whose disk can be mirrored. */
import { messageOf } from '../../src/errors.js';
import { type Hypervisor, openHypervisor } from '../../src/hypervisor/connection.js';
import type { ProtectedDomain } from '../../src/hypervisor/domain.js';
import { MirrorJobs } from '../../src/hypervisor/mirror-jobs.js';
import type { DiskloadMode, DiskloadReport } from '../../src/lab/guest-reports.js';
import type { Lab } from '../../src/lab/lab.js';
import type { GuestRecord } from '../../src/lab/state.js';
import { Witness } from '../../src/lab/witness.js';
import { benchError } from '../errors.js';

export const DISK = 'vda';

export interface LoadedGuestOptions {
  name: string;
  diskMib: number;
  /** The part of the disk, from its start, that is written to. */
  loadMib: number;
}

export class LoadedGuest {
  private constructor(
    private readonly lab: Lab,
    readonly record: GuestRecord,
    private readonly witness: Witness,
    private readonly hypervisor: Hypervisor,
    readonly domain: ProtectedDomain,
  ) {}

  /** Starts it on host a, with a raw disk of zeroes; it waits for a load when this resolves. */
  static async start(lab: Lab, options: LoadedGuestOptions): Promise<LoadedGuest> {
    const record = await lab.startGuest({
      name: options.name,
      run: ['diskload'],
      options: { diskload: DISK, diskload_mib: options.loadMib },
      disks: [{ name: DISK, format: 'raw', mib: options.diskMib }],
    });
    const hypervisor = await openHypervisor({ uri: lab.host('a').libvirtUri });
    const domain = await hypervisor.domain(record.name);
    return new LoadedGuest(lab, record, await Witness.start(lab.client), hypervisor, domain);
  }

  get diskBytes(): number {
    return this.record.disks[0]?.bytes ?? 0;
  }

  /** The disk’s file on host a, seen from outside. */
  get diskPath(): string {
    return `${this.lab.host('a').runDir}${this.record.disks[0]?.path}`;
  }

  load(mode: DiskloadMode, seconds: number): Promise<DiskloadReport> {
    return this.witness.diskload(this.record.ip, mode, seconds);
  }

  /**
   * Has QEMU copy the disk to the NBD server at `socketPath` while `measure` runs; `onReady` is called between:
   * from then on a write returns only when the server has it. @throws BENCH_NOTHING_MEASURED when the job was lost
   */
  async mirrored<T>(
    socketPath: string,
    onReady: () => void,
    measure: () => Promise<T>,
  ): Promise<T> {
    let lost: Error | undefined;
    const onLost = (error: Error): void => {
      lost = error;
    };
    const disks = [{ name: DISK }];
    const jobs = await MirrorJobs.start(this.hypervisor, this.domain, {
      ...{ socketPath, disks, onLost },
    });
    try {
      await jobs.ready();
      onReady();
      const measured = await measure();
      await jobs.prove();
      if (lost !== undefined) throw lost;
      return measured;
    } catch (cause) {
      const message = `mirror of ${this.record.name}: ${messageOf(cause)}`;
      throw benchError('BENCH_NOTHING_MEASURED', message, { cause });
    } finally {
      await jobs.end();
    }
  }

  async destroy(): Promise<void> {
    await this.lab.host('a').virsh('destroy', this.record.name);
  }

  /** Lets go of the guest, which runs on. */
  async close(): Promise<void> {
    await this.witness.close();
    await this.hypervisor.close();
  }
}
