/**
 * The durable record of where a domain's disks lie on this host, and who its other host is: what a
 * host must know about a domain that no process of it is running for.
 *
 * One JSON file per domain beside its term, replaced atomically.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { readDurable, writeDurable } from '../durable-file.js';
import { messageOf } from '../errors.js';
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

export class DiskRecords {
  constructor(private readonly directory: string) {}

  /** @throws DISK_RECORD_UNREADABLE */
  async read(domain: string): Promise<DisksOnHost | undefined> {
    const path = this.#path(domain);
    let text: string | undefined;
    try {
      text = await readDurable(path);
      if (text === undefined) return undefined;
      const record = recordSchema.parse(JSON.parse(text));
      if (record.domain === domain) return record;
    } catch (cause) {
      throw diskError('DISK_RECORD_UNREADABLE', `${path}: ${messageOf(cause)}`, { domain, cause });
    }
    throw diskError('DISK_RECORD_UNREADABLE', `${path} is of another domain`, { domain });
  }

  /** Domains that have a record on this host. */
  async domains(): Promise<string[]> {
    const names = await readdir(this.directory).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    });
    return names.flatMap((name) => {
      const encoded = /^disks-(.+)\.json$/.exec(name)?.[1];
      return encoded === undefined ? [] : [decodeURIComponent(encoded)];
    });
  }

  /** Durable when it resolves. */
  write(record: DisksOnHost): Promise<void> {
    return writeDurable(this.#path(record.domain), `${JSON.stringify(record)}\n`);
  }

  journalDirectory(domain: string): string {
    return join(this.directory, 'journals', encodeURIComponent(domain));
  }

  #path(domain: string): string {
    return join(this.directory, `disks-${encodeURIComponent(domain)}.json`);
  }
}
