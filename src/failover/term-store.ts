/**
 * The durable term of each domain on this host: written to disk before it is acted on.
 *
 * One JSON file per domain, replaced atomically.
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
});

export type TermRecord = z.infer<typeof recordSchema>;

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
    if (text === undefined) return { domain, term: 0, ours: false };
    const parsed = recordSchema.safeParse(parseJson(text));
    if (!parsed.success || parsed.data.domain !== domain) {
      throw termError('TERM_UNREADABLE', `${path} is not a term record of ${domain}`, { domain });
    }
    return parsed.data;
  }

  /** Durable when it resolves. Refuses to go back. */
  async write(record: TermRecord): Promise<void> {
    const known = await this.read(record.domain);
    if (record.term < known.term) {
      const message = `term ${record.term} after ${known.term}`;
      throw termError('TERM_GOES_BACK', message, { domain: record.domain });
    }
    await writeDurable(this.#path(record.domain), `${JSON.stringify(record)}\n`);
  }

  #path(domain: string): string {
    // libvirt forbids '/' in domain names; the encoding keeps '.' and '..' harmless as well.
    return join(this.directory, `term-${encodeURIComponent(domain)}.json`);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
