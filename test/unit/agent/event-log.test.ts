/** The file of events with real files: appended to, put aside, full, and read while it grows. */
import { mkdtemp, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  EventLog,
  eventsPath,
  olderEventsPath,
  recordedLog,
} from '../../../src/agent/events/event-log.js';
import { followEvents, readEvents } from '../../../src/agent/events/event-tail.js';
import type { EventRecord } from '../../../src/agent/events/events.js';
import { EVENT_ROTATION_MS_MAX, EVENTS_WAITING_MAX } from '../../../src/agent/limits.js';
import type { Log } from '../../../src/agent/log.js';

const BYTES_MAX = 2_000;
const ALL = { count: 1_000 };
const none = (): void => undefined;
const logTo = (error: Log['error']): Log => ({ debug: none, info: none, warn: none, error });

let directory = '';
let time = 0;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'understudy-events-'));
  time = 0;
});
afterEach(() => rm(directory, { recursive: true }));

function event(domain: string, facts: object = {}): EventRecord {
  time += 1;
  return { time: new Date(time).toISOString(), domain, event: 'backup-lost', ...facts };
}

async function append(log: EventLog, ...events: EventRecord[]): Promise<void> {
  for (const one of events) log.append(one);
  await log.settled();
}

/** The next `count` of a stream. */
async function take(stream: AsyncIterator<EventRecord>, count: number): Promise<EventRecord[]> {
  const taken: EventRecord[] = [];
  while (taken.length < count) taken.push((await stream.next()).value as EventRecord);
  return taken;
}

describe('EventLog', () => {
  it('is read in the order in which it was told, filtered, the newest of them', async () => {
    const log = new EventLog(directory, logTo(none));
    const events = ['a', 'b', 'a', 'b', 'a'].map((domain) => event(domain));
    await append(log, ...events);
    expect(await readEvents(directory, ALL)).toEqual(events);
    expect(await readEvents(directory, { count: 2, domain: 'a' })).toEqual([events[2], events[4]]);
    expect(await readEvents(directory, { count: 9, sinceMs: 4 })).toEqual(events.slice(3));
    expect(await readEvents(directory, { count: 0 })).toEqual([]);
    expect(await readEvents(`${directory}/none`, ALL)).toEqual([]);
  });

  it('is put aside at its bound, so that two files are all there ever is', async () => {
    const logs = [1, 2, 3].map(() => new EventLog(directory, logTo(none), BYTES_MAX));
    for (let round = 0; round < 40; round += 1) {
      await Promise.all(logs.map((log) => append(log, event('web1', { round }))));
    }
    // Also when it has just been put aside.
    await append(new EventLog(directory, logTo(none)), event('web1', { round: 39 }));
    const sizes = await Promise.all(
      [eventsPath(directory), olderEventsPath(directory)].map(
        async (path) => (await stat(path)).size,
      ),
    );
    for (const size of sizes) expect(size).toBeLessThan(BYTES_MAX * 1.5);
    const read = (await readEvents(directory, ALL)).map(({ round }) => round as number);
    // Every one of the newest is there, in order: nothing was overwritten but the oldest.
    expect(read.length).toBeGreaterThan(20);
    expect(read).toEqual([...read].sort((a, b) => a - b));
    expect(read.at(-1)).toBe(39);
    expect(logs.map(({ lost }) => lost)).toEqual([0, 0, 0]);
  });

  it('goes on when a process died while it put the file aside', async () => {
    const lock = `${eventsPath(directory)}.lock`;
    await writeFile(lock, '');
    const log = new EventLog(directory, logTo(none), 100);
    await append(log, event('a'), event('b'));
    expect(await readEvents(directory, ALL)).toHaveLength(2);
    const longAgo = (Date.now() - 2 * EVENT_ROTATION_MS_MAX) / 1000;
    await utimes(lock, longAgo, longAgo);
    await append(log, event('c'), event('d'));
    expect((await stat(olderEventsPath(directory))).size).toBeGreaterThan(100);
    expect(log.lost).toBe(0);
  });

  it('counts what a full disk does not take, says so rarely, and goes on afterwards', async () => {
    await symlink('/dev/full', eventsPath(directory));
    const error = vi.fn();
    const log = new EventLog(directory, logTo(error));
    await append(log, event('a'), event('b'), event('c'), event('d'), event('e'));
    expect(log.lost).toBe(5);
    expect(error.mock.calls.map(([, { lost }]) => lost)).toEqual([1, 2, 4]);
    await rm(eventsPath(directory));
    // What the disk took of a line before it was full.
    await writeFile(eventsPath(directory), '{"time":"20');
    await append(log, event('f'));
    expect((await readEvents(directory, ALL)).map(({ domain }) => domain)).toEqual(['f']);
    expect(log.lost).toBe(5);
  });

  it('bounds what waits for the disk', async () => {
    const error = vi.fn();
    const log = new EventLog(directory, logTo(error));
    // The first is being written, so that it does not wait any more.
    await append(log, ...Array.from({ length: EVENTS_WAITING_MAX + 11 }, () => event('a')));
    expect(log.lost).toBe(10);
    expect(await readEvents(directory, ALL)).toHaveLength(EVENTS_WAITING_MAX + 1);
  });

  it('keeps of a log what its writer is to keep, and logs all of it', async () => {
    const seen: string[] = [];
    const log = logTo(none);
    log.warn = (name) => void seen.push(name);
    log.debug = (name) => void seen.push(name);
    const events = new EventLog(directory, log);
    const recorded = recordedLog(log, events, 'session', { domain: 'web1', role: 'backup' });
    recorded.warn('takeover', { epoch: 7 });
    recorded.warn('own-stall', { lateMs: 9 });
    recorded.debug('backup-lost', { error: 'again' });
    recorded.warn('takeover', { epoch: 7 });
    await events.settled();
    expect(seen).toEqual(['takeover', 'own-stall', 'backup-lost', 'takeover']);
    expect(await readEvents(directory, ALL)).toEqual([
      expect.objectContaining({ event: 'takeover', domain: 'web1', role: 'backup', epoch: 7 }),
    ]);
  });
});

it('keeps once what is said again and again of one domain', async () => {
  const log = logTo(none);
  const events = new EventLog(directory, log);
  const recorded = recordedLog(log, events, 'agent');
  const said = (domain: string, step: string): void => recorded.info('recovery', { domain, step });
  said('a', 'wait');
  said('b', 'wait');
  said('a', 'wait');
  said('b', 'claim');
  said('b', 'wait');
  await events.settled();
  const steps = (await readEvents(directory, ALL)).map(({ domain, step }) => `${domain} ${step}`);
  expect(steps).toEqual(['a wait', 'b wait', 'b claim', 'b wait']);
});

describe('following', () => {
  it('gives what is there, then what comes, across several files, and nothing twice', async () => {
    const log = new EventLog(directory, logTo(none), BYTES_MAX);
    await append(log, event('a', { n: 0 }), event('b', { n: -1 }), event('a', { n: 1 }));
    const stop = new AbortController();
    const stream = followEvents(directory, { count: 1, domain: 'a' }, stop.signal);
    expect(await take(stream, 1)).toMatchObject([{ n: 1 }]);
    for (let n = 2; n < 60; n += 1) {
      await append(log, event('a', { n }), event('b'));
      expect(await take(stream, 1)).toMatchObject([{ n }]);
    }
    expect(await readFile(olderEventsPath(directory), 'utf8')).toContain('\n');
    stop.abort();
    expect(await stream.next()).toMatchObject({ done: true });
  });

  it('begins before there is a file, and waits for the end of a line', async () => {
    const stop = new AbortController();
    const stream = followEvents(`${directory}/new`, ALL, stop.signal);
    const first = stream.next();
    const log = new EventLog(`${directory}/new`, logTo(none));
    await vi.waitFor(() => stat(`${directory}/new`));
    const line = JSON.stringify(event('a', { n: 1 }));
    await writeFile(eventsPath(`${directory}/new`), line.slice(0, 20));
    await writeFile(eventsPath(`${directory}/new`), `${line.slice(20)}\n`, { flag: 'a' });
    expect((await first).value).toMatchObject({ n: 1 });
    await append(log, event('a', { n: 2 }));
    expect(await take(stream, 1)).toMatchObject([{ n: 2 }]);
    stop.abort();
    expect((await stream.next()).done).toBe(true);
  });

  it('ends at once when it was over before it began', async () => {
    const stream = followEvents(directory, ALL, AbortSignal.abort());
    expect((await stream.next()).done).toBe(true);
  });
});
