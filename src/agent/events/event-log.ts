/**
 * The host's events: one file in the state directory, a JSON line each, that the agent and all sessions append to.
 *
 * Writing never delays or fails whoever has something to tell: what cannot be written is counted, and said once.
 */
import { mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../../errors.js';
import {
  EVENT_ROTATION_MS_MAX,
  EVENTS_FILE_BYTES_MAX,
  EVENTS_WAITING_MAX,
  EVENTS_WRITE_TIMEOUT_MS,
} from '../limits.js';
import { LOG_EVENTS, type Log, type LogEvent } from '../log.js';
import { type EventRecord, eventLine, eventOf, isEvent, type Writer } from './events.js';

export function eventsPath(stateDir: string): string {
  return `${stateDir}/events.jsonl`;
}

/** Where the older half is, once there is one. */
export function olderEventsPath(stateDir: string): string {
  return `${eventsPath(stateDir)}.1`;
}

export class EventLog {
  readonly #waiting: string[] = [];
  #writing: Promise<void> | undefined;
  #lost = 0;
  /** The last write broke off, so that the file may end within a line. */
  #isTorn = false;

  constructor(
    private readonly stateDir: string,
    private readonly log: Log,
    private readonly bytesMax = EVENTS_FILE_BYTES_MAX,
  ) {}

  /** How many events could not be written so far. */
  get lost(): number {
    return this.#lost;
  }

  /** Returns at once and never throws. */
  append(record: EventRecord): void {
    if (this.#waiting.length >= EVENTS_WAITING_MAX) {
      this.#lose(1, `${EVENTS_WAITING_MAX} events wait to be written`);
      return;
    }
    this.#waiting.push(eventLine(record));
    this.#writing ??= this.#drain();
  }

  /** Resolves when everything told so far is written or lost; a disk that hangs is not waited for. */
  async settled(): Promise<void> {
    const timer = new AbortController();
    const tooLong = delay(EVENTS_WRITE_TIMEOUT_MS, undefined, { signal: timer.signal });
    await Promise.race([this.#writing, tooLong.catch(() => undefined)]);
    timer.abort();
  }

  async #drain(): Promise<void> {
    for (let line = this.#waiting.shift(); line !== undefined; line = this.#waiting.shift()) {
      try {
        await this.#write(line);
      } catch (error) {
        this.#lose(1, messageOf(error));
      }
    }
    this.#writing = undefined;
  }

  /** One write for one line: with O_APPEND lines of several processes do not mix (open(2)). */
  async #write(line: string): Promise<void> {
    await mkdir(this.stateDir, { recursive: true, mode: 0o711 });
    const file = await open(eventsPath(this.stateDir), 'a', 0o600);
    try {
      const bytes = Buffer.from(this.#isTorn ? `\n${line}` : line);
      this.#isTorn = true;
      const { bytesWritten } = await file.write(bytes);
      if (bytesWritten < bytes.length) throw new Error('the disk is full');
      this.#isTorn = false;
      if ((await file.stat()).size <= this.bytesMax) return;
    } finally {
      await file.close();
    }
    await this.#rotate();
  }

  /** Once for all processes: a second rename would throw the older half away. */
  async #rotate(): Promise<void> {
    const path = eventsPath(this.stateDir);
    const lock = `${path}.lock`;
    if (!(await takeLock(lock))) return;
    try {
      if ((await sizeOf(path)) > this.bytesMax) {
        await rename(path, olderEventsPath(this.stateDir));
      }
    } finally {
      await rm(lock, { force: true });
    }
  }

  /** Said at the first one and at each doubling, so that a full disk does not fill the log as well. */
  #lose(count: number, error: string): void {
    this.#lost += count;
    if (Number.isInteger(Math.log2(this.#lost))) {
      this.log.error(LOG_EVENTS.eventsLost, { lost: this.#lost, error });
    }
  }
}

/** A log that keeps what `writer` logs under the name of an event also as one; `base` goes into each. What is said twice in a row of a domain is kept once. */
export function recordedLog(
  log: Log,
  events: EventLog,
  writer: Writer,
  base: Pick<EventRecord, 'domain' | 'role'> = {},
): Log {
  const newest = new Map<string | undefined, string>();
  const at =
    (level: keyof Log) =>
    (event: LogEvent, facts: object = {}): void => {
      log[level](event, facts);
      // What is worth a debug line only is worth no event.
      if (level === 'debug' || !isEvent(event, writer)) return;
      const record = eventOf(event, facts, new Date(), base);
      // Something that is tried again and again would push out what led to it.
      const said = eventLine({ ...record, time: '' });
      if (newest.get(record.domain) === said) return;
      newest.set(record.domain, said);
      events.append(record);
    };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

/** None when the file is not there: another process has just put it aside. */
async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return 0;
    throw error;
  }
}

/** False while another process rotates. One that died in it is not waited for longer than its bound. */
async function takeLock(path: string): Promise<boolean> {
  try {
    await (await open(path, 'wx', 0o600)).close();
    return true;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    const since = await stat(path).then(
      ({ mtimeMs }) => mtimeMs,
      () => Date.now(),
    );
    if (Date.now() - since > EVENT_ROTATION_MS_MAX) await rm(path, { force: true });
    return false;
  }
}
