/**
 * The durable record of where a domain's disks lie on this host, and who its other host is: what a
 * host must know about a domain that no process of it is running for.
 *
 * One JSON file per domain beside its term, replaced atomically.
 */
import { join } from 'node:path';
import { z } from 'zod';
import { DurableRecords, type RecordFiles } from '../durable-records.js';
import { carriedDiskSchema } from '../wire/messages.js';
import { diskError } from './errors.js';

const recordSchema = z.object({
  domain: z.string(),
  disks: z.array(
    carriedDiskSchema.extend({
      path: z.string(),
      /** Only a raw image or a block device can become a replica. */
      format: z.enum(['raw', 'qcow2']),
    }),
  ),
  /** The other host's agent. */
  peer: z.object({ host: z.string(), port: z.number().int() }),
});

export type DisksOnHost = z.infer<typeof recordSchema>;
export type DiskOnHost = DisksOnHost['disks'][number];

/** @throws DISK_RECORD_UNREADABLE on reading what is not ours */
export class DiskRecords extends DurableRecords<DisksOnHost> {
  constructor(private readonly directory: string) {
    const unreadable: RecordFiles<DisksOnHost>['unreadable'] = (message, context) =>
      diskError('DISK_RECORD_UNREADABLE', message, context);
    super({ directory, kind: 'disks', schema: recordSchema, unreadable });
  }

  journalDirectory(domain: string): string {
    return join(this.directory, 'journals', encodeURIComponent(domain));
  }
}
