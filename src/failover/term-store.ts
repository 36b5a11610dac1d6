/**
 * The durable term of each domain on this host: written to disk before it is acted on.
 *
 * One JSON file per domain, replaced atomically. The libvirt hook (deploy/libvirt) reads these files too: it knows
 * the names of the fields, and that each file is one line.
 */
import { join } from 'node:path';
import { z } from 'zod';
import { readDurable, writeDurable } from '../durable-file.js';
import { errorsOf } from '../errors.js';

export const termErrors = {
  TERM_UNREADABLE: {
    meaning: 'The durable state of a domain exists but cannot be read or is not what we wrote.',
    remedy: 'Find out which host runs the domain, then remove the named file by hand.',
  },
  TERM_GOES_BACK: {
    meaning: 'A term older than the durable one was to be written.',
    remedy: 'This is a bug: report it with the log. Nothing was written.',
  },
} as const;

const termError = errorsOf(termErrors);

const recordSchema = z.object({
  domain: z.string(),
  term: z.number().int().nonnegative(),
  /** Whether that term is this host's to run the domain under. */
  ours: z.boolean(),
  /**
   * Whether libvirt may start the domain here. Not while the other host may have taken it over, whether this one
   * knows or not: then only a talk with the other host can tell.
   */
  startable: z.boolean().optional(),
});

/** What is written; a domain may be started where its term is, unless something else is said. */
export type TermToWrite = z.infer<typeof recordSchema>;
export type TermRecord = TermToWrite & { startable: boolean };

export class TermStore {
  constructor(private readonly directory: string) {}

  /** The record of `domain`; term 0 and not ours when there is none. */
  async read(domain: string): Promise<TermRecord> {
    const path = this.#path(domain);
    let text: string | undefined;
    try {
      text = await readDurable(path);
    } catch (cause) {
      throw termError('TERM_UNREADABLE', `${path}: ${(cause as Error).message}`, { domain, cause });
    }
    if (text === undefined) return { domain, term: 0, ours: false, startable: true };
    const parsed = recordSchema.safeParse(parseJson(text));
    if (!parsed.success || parsed.data.domain !== domain) {
      throw termError('TERM_UNREADABLE', `${path} is not a term record of ${domain}`, { domain });
    }
    return whole(parsed.data);
  }

  /** Durable when it resolves. Refuses to go back. */
  async write(record: TermToWrite): Promise<void> {
    const known = await this.read(record.domain);
    if (record.term < known.term) {
      const message = `term ${record.term} after ${known.term}`;
      throw termError('TERM_GOES_BACK', message, { domain: record.domain });
    }
    await writeDurable(this.#path(record.domain), `${JSON.stringify(whole(record))}\n`);
  }

  #path(domain: string): string {
    // libvirt forbids '/' in domain names; the encoding keeps '.' and '..' harmless as well.
    return join(this.directory, `term-${encodeURIComponent(domain)}.json`);
  }
}

function whole(record: TermToWrite): TermRecord {
  return { ...record, startable: record.startable ?? record.ours };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
