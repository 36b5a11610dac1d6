/** Reads the host's events: what is there, and what comes. Lines that are none are left out. */
import { type FSWatcher, watch } from 'node:fs';
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { basename } from 'node:path';
import { deferred } from '../../deferred.js';
import { EVENTS_READ_BYTES } from '../limits.js';
import { eventsPath, olderEventsPath } from './event-log.js';
import { type EventFilter, type EventRecord, matches, parseEvent } from './events.js';

export interface EventQuery extends EventFilter {
  /** At most so many of those that are there: the newest. */
  count: number;
}

/** Oldest first. */
export async function readEvents(stateDir: string, query: EventQuery): Promise<EventRecord[]> {
  const tail = new EventTail(stateDir);
  try {
    return newest(await tail.fromTheBegin(), query);
  } finally {
    await tail.close();
  }
}

/** What is there, as `readEvents` gives it, then each event as it is written; ends with the signal. */
export async function* followEvents(
  stateDir: string,
  query: EventQuery,
  signal: AbortSignal,
): AsyncGenerator<EventRecord, void> {
  await mkdir(stateDir, { recursive: true, mode: 0o711 });
  // Before the first look: nothing may fall between the two.
  const changes = new Changes(stateDir, signal);
  const tail = new EventTail(stateDir);
  try {
    yield* newest(await tail.fromTheBegin(), query);
    while (await changes.next()) {
      for (const record of await tail.more()) {
        if (matches(record, query)) yield record;
      }
    }
  } finally {
    changes.close();
    await tail.close();
  }
}

function newest(records: readonly EventRecord[], query: EventQuery): EventRecord[] {
  const matching = records.filter((record) => matches(record, query));
  return matching.slice(Math.max(0, matching.length - query.count));
}

/** A place in the file that the rotation does not lose: the open file stays the same under its new name. */
class EventTail {
  #file: FileHandle | undefined;
  #offset = 0;
  #rest: Buffer = Buffer.alloc(0);

  constructor(private readonly stateDir: string) {}

  async fromTheBegin(): Promise<EventRecord[]> {
    this.#file = await openIfThere(eventsPath(this.stateDir));
    const older = await openIfThere(olderEventsPath(this.stateDir));
    try {
      // Rotated between the two: then both are one.
      const isSame = older !== undefined && this.#file && (await areSame(older, this.#file));
      const before = older === undefined || isSame ? [] : (await linesFrom(older, 0)).lines;
      return [...recordsOf(before), ...(await this.more())];
    } finally {
      await older?.close();
    }
  }

  /** What was written since; also across a rotation. */
  async more(): Promise<EventRecord[]> {
    const records = await this.#restOfFile();
    const current = await openIfThere(eventsPath(this.stateDir));
    if (current === undefined) return records;
    if (this.#file !== undefined && (await areSame(current, this.#file))) {
      await current.close();
      return records;
    }
    // Whoever wrote last into the former did so before it was renamed.
    records.push(...(await this.#restOfFile()));
    await this.#file?.close();
    this.#file = current;
    this.#offset = 0;
    this.#rest = Buffer.alloc(0);
    return [...records, ...(await this.#restOfFile())];
  }

  async close(): Promise<void> {
    await this.#file?.close();
  }

  async #restOfFile(): Promise<EventRecord[]> {
    if (this.#file === undefined) return [];
    const { lines, rest, offset } = await linesFrom(this.#file, this.#offset, this.#rest);
    this.#rest = rest;
    this.#offset = offset;
    return recordsOf(lines);
  }
}

/** Tells that something in the directory changed; several changes may be told as one. */
class Changes {
  readonly #watcher: FSWatcher;
  #changed = deferred<boolean>();

  constructor(
    directory: string,
    private readonly signal: AbortSignal,
  ) {
    const name = basename(eventsPath(directory));
    this.#watcher = watch(directory, (_what, file) => {
      if (file === null || file === name) this.#changed.resolve(true);
    });
    this.#watcher.on('error', (error) => this.#changed.reject(error));
    // Whoever waits next gets the failure; nobody may be waiting now.
    this.#changed.promise.catch(() => undefined);
    signal.addEventListener('abort', () => this.#changed.resolve(false), { once: true });
  }

  /** False when the signal said that it is over. */
  async next(): Promise<boolean> {
    if (this.signal.aborted) return false;
    const go = await this.#changed.promise;
    this.#changed = deferred();
    this.#changed.promise.catch(() => undefined);
    return go && !this.signal.aborted;
  }

  close(): void {
    this.#watcher.close();
  }
}

/** Whole lines from `offset` to the end of the file; `rest` is what comes after the last of them. */
async function linesFrom(
  file: FileHandle,
  offset: number,
  before: Buffer = Buffer.alloc(0),
): Promise<{ lines: string[]; rest: Buffer; offset: number }> {
  const parts = [before];
  let at = offset;
  for (;;) {
    const { bytesRead, buffer } = await file.read({
      buffer: Buffer.alloc(EVENTS_READ_BYTES),
      position: at,
    });
    if (bytesRead === 0) break;
    parts.push(buffer.subarray(0, bytesRead));
    at += bytesRead;
  }
  const bytes = Buffer.concat(parts);
  const end = bytes.lastIndexOf('\n') + 1;
  const lines = bytes.subarray(0, end).toString('utf8').split('\n');
  return { lines, rest: bytes.subarray(end), offset: at };
}

function recordsOf(lines: readonly string[]): EventRecord[] {
  return lines.flatMap((line) => (line === '' ? [] : (parseEvent(line) ?? [])));
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

async function areSame(one: FileHandle, other: FileHandle): Promise<boolean> {
  const [a, b] = await Promise.all([one.stat(), other.stat()]);
  return a.ino === b.ino && a.dev === b.dev;
}
