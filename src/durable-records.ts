/** One small JSON file per domain that must survive a power loss, checked on every read, replaced atomically. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { z } from 'zod';
import { readDurable, writeDurable } from './durable-file.js';
import { messageOf } from './errors.js';

export interface RecordFiles<T extends { domain: string }> {
  directory: string;
  /** Of the file's name: `disks` makes disks-NAME.json. */
  kind: string;
  schema: z.ZodType<T>;
  /** The error of a file that cannot be read or is not what we wrote. */
  unreadable: (message: string, context: { domain: string; cause?: unknown }) => Error;
}

export class DurableRecords<T extends { domain: string }> {
  constructor(private readonly files: RecordFiles<T>) {}

  /** Undefined when there is none. @throws `unreadable` */
  async read(domain: string): Promise<T | undefined> {
    const { schema, unreadable } = this.files;
    const path = this.#path(domain);
    let record: T;
    try {
      const text = await readDurable(path);
      if (text === undefined) return undefined;
      record = schema.parse(JSON.parse(text));
    } catch (cause) {
      throw unreadable(`${path}: ${messageOf(cause)}`, { domain, cause });
    }
    if (record.domain !== domain) throw unreadable(`${path} is of another domain`, { domain });
    return record;
  }

  /** Durable when it resolves. */
  write(record: T): Promise<void> {
    return writeDurable(this.#path(record.domain), `${JSON.stringify(record)}\n`);
  }

  async remove(domain: string): Promise<void> {
    await rm(this.#path(domain), { force: true });
  }

  /** Domains that have a record on this host. */
  async domains(): Promise<string[]> {
    const { directory, kind } = this.files;
    const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    });
    const prefix = `${kind}-`;
    return names
      .filter((name) => name.startsWith(prefix) && name.endsWith('.json'))
      .map((name) => decodeURIComponent(name.slice(prefix.length, -'.json'.length)));
  }

  #path(domain: string): string {
    // libvirt forbids '/' in domain names; the encoding keeps '.' and '..' harmless as well.
    return join(this.files.directory, `${this.files.kind}-${encodeURIComponent(domain)}.json`);
  }
}
