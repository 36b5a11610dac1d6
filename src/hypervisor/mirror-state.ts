/** What QEMU says about the mirror jobs of a guest, and what of it makes a mirror worthless. */
import type { z } from 'zod';
import type { ProtectedDomain } from './domain.js';
import { readReply } from './monitor.js';
import { blockJobsReply } from './qmp-replies.js';

export type BlockJob = z.infer<typeof blockJobsReply>[number];

export async function blockJobs(domain: ProtectedDomain): Promise<BlockJob[]> {
  const names = { operation: 'query-block-jobs', domain: domain.name };
  return readReply(blockJobsReply, await domain.qmp('query-block-jobs'), names);
}

/** Pure: libvirt names a copy "copy-TARGET-NODE" (qemuBlockJobDiskNewCopy in qemu_blockjob.c). */
export function isMirrorOf(disk: string, jobId: string): boolean {
  return jobId.startsWith(`copy-${disk}-`);
}

/** Pure: why writes may be missing on the target, undefined when none can be. */
export function mirrorFault(job: BlockJob): string | undefined {
  if (job.error !== undefined) return `its job failed: ${job.error}`;
  if (job.type !== 'mirror') return `its job is a ${job.type}`;
  if (job['io-status'] !== 'ok') return `its job met an error: ${job['io-status']}`;
  if (!job.ready || job.status !== 'ready') return `its job is ${job.status}, not ready`;
  return undefined;
}
