/**
 * The chaos script’s client, a process of its own so that the laboratory can start it at the client’s place: writes
 * numbers to Redis all the time over one connection, remembers every answered write, and looks on request
 * whether each is there. A lost connection is told and made anew: what it lost is a finding, not the end.
 *
 * Arguments: HOST PORT. Parent to child: {"do":"audit","id":N}; child to parent: {"ready":true} |
 * {"slices":[…]} | {"lost":"why"} | {"audited":…} | {"failed":"why"}. It ends with its parent.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { monotonicMs } from '../clock.js';
import { messageOf } from '../errors.js';
import { AnsweredWrites, type AnswerSlice, AnswerSlices, isThere } from './answers.js';

export interface Audit {
  id: number;
  /** Writes answered since the beginning. */
  ackedWrites: number;
  /** Keys read back; each holds its newest write. */
  checkedKeys: number;
  lostWrites: number;
  /** A few of them, for people. */
  examples: { key: string; answered: number; found: string | null }[];
}

export type WorkloadMessage =
  | { ready: true }
  | { slices: AnswerSlice[] }
  | { lost: string }
  | { audited: Audit }
  | { failed: string };

export type WorkloadRequest = { do: 'audit'; id: number };

const WRITERS = 8;
/** Each writer’s turn; a guest that writes without end would fill its disk in an hour. */
const WRITE_EVERY_MS = 10;
const KEYS_PER_WRITER = 512;
const READ_BACK_BATCH = 500;
const EXAMPLES_MAX = 5;
const TELL_EVERY_MS = 500;
const RECONNECT_MS = 200;

const [, , host = '', port = ''] = process.argv;
const slices = new AnswerSlices();
const written = new AnsweredWrites();
const turns = Array.from({ length: WRITERS }, () => 0);
let redis: Redis;

function send(message: WorkloadMessage): void {
  process.send?.(message);
}

/** One connection; resolves when it is open. It is never made again behind our back. */
async function connect(): Promise<Redis> {
  const connection = new Redis({
    host,
    port: Number(port),
    lazyConnect: true,
    retryStrategy: () => null,
    maxRetriesPerRequest: null,
    enableReadyCheck: false,
    connectTimeout: 0,
  });
  // What failed ends the connection, and that is what is told.
  connection.on('error', () => undefined);
  await connection.connect();
  return connection;
}

/** Writes until the connection ends. */
async function write(connection: Redis, writer: number): Promise<void> {
  for (;;) {
    const turn = (turns[writer] ?? 0) + 1;
    turns[writer] = turn;
    const key = `chaos:${writer}:${turn % KEYS_PER_WRITER}`;
    const sentMs = monotonicMs();
    await connection.set(key, String(turn));
    written.answered(key, turn);
    slices.add(Date.now(), monotonicMs() - sentMs);
    await delay(WRITE_EVERY_MS);
  }
}

async function audit(id: number): Promise<void> {
  const expected = written.snapshot();
  const examples: Audit['examples'] = [];
  let lostWrites = 0;
  for (let at = 0; at < expected.length; at += READ_BACK_BATCH) {
    const batch = expected.slice(at, at + READ_BACK_BATCH);
    const values = await readBack(batch.map(([key]) => key));
    batch.forEach(([key, answered], index) => {
      const found = values[index] ?? null;
      if (isThere(found, answered)) return;
      lostWrites += 1;
      if (examples.length < EXAMPLES_MAX) examples.push({ key, answered, found });
    });
  }
  const checkedKeys = expected.length;
  send({ audited: { id, ackedWrites: written.count, checkedKeys, lostWrites, examples } });
}

/** Over the present connection; over the next one when that one ends meanwhile. */
async function readBack(keys: string[]): Promise<(string | null)[]> {
  for (;;) {
    const connection = redis;
    try {
      return await connection.mget(keys);
    } catch (error) {
      if (connection === redis) await delay(RECONNECT_MS);
      if (connection.status === 'ready') throw error;
    }
  }
}

/** Never ends: each turn is one connection’s life. */
async function converse(): Promise<never> {
  for (;;) {
    const connection = redis;
    const why = await Promise.race(
      turns.map((_, writer) => write(connection, writer).catch((error: unknown) => error)),
    );
    connection.disconnect();
    send({ lost: messageOf(why) });
    redis = await reconnected();
  }
}

async function reconnected(): Promise<Redis> {
  for (;;) {
    try {
      return await connect();
    } catch {
      // The guest may be away for as long as its hosts are: told already, tried again.
      await delay(RECONNECT_MS);
    }
  }
}

function fail(error: unknown): void {
  send({ failed: messageOf(error) });
  process.exitCode = 1;
  process.disconnect();
}

async function main(): Promise<void> {
  redis = await connect();
  await redis.ping();
  process.on('message', (request: WorkloadRequest) => {
    audit(request.id).catch(fail);
  });
  setInterval(() => {
    const closed = slices.takeClosed(Date.now());
    if (closed.length > 0) send({ slices: closed });
  }, TELL_EVERY_MS);
  send({ ready: true });
  await converse();
}

process.on('disconnect', () => process.exit());
main().catch(fail);
