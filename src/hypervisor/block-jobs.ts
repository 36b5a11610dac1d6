/** libvirt's block job events by name. They come while a job runs; one that ended before is gone without a word. */
import type { NativeBlockJobEvent } from '../native.js';

/** virConnectDomainEventBlockJobStatus, in its order. */
const kinds = ['completed', 'failed', 'canceled', 'ready'] as const;

export interface BlockJobEvent {
  uuid: string;
  /** The disk's target: vda. */
  disk: string;
  kind: (typeof kinds)[number] | 'unknown';
}

export function blockJobEvent({ uuid, disk, status }: NativeBlockJobEvent): BlockJobEvent {
  return { uuid, disk, kind: kinds[status] ?? 'unknown' };
}
