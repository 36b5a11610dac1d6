/**
 * The client of the demo, a process of its own in the client's namespace: writes to Redis over one
 * connection that is never made again, hears the guest's beacon, and at the end reads back
 * every write it was ever answered. Asked to, it does that once more from another Redis: the one that
 * was started from what lies on the guest's disk.
 *
 * Parent to child: {"do":"mark"} | {"do":"wait",…} | {"do":"finish","moments":…} | {"do":"audit","socket":PATH};
 * child to parent: {"ready":true} | {"report":…} | {"waited":…} | {"final":…} | {"audited":…}. It ends with its parent.
 */
import { createSocket } from 'node:dgram';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { monotonicMs } from '../../clock.js';
import type { Spread } from '../../epoch/records.js';
import { messageOf } from '../../errors.js';
import { BeaconLog } from '../beacon-log.js';
import { BEACON_PORT, REDIS_PORT } from '../ports.js';
import { Conversation, type ConversationReport, type Slice, type Wait } from './conversation.js';

export interface ClientFinal extends ConversationReport {
  /** Beacons that were seen before: packets that left before their epoch was committed. */
  forgottenBeacons: number;
  /** The guest's clock at the beacon heard first and last, ms. */
  uptimeFromMs: number;
  uptimeToMs: number;
  /** The one connection of the beginning answered to the end, and Redis knows it by the same number. */
  tcpSurvived: boolean;
  /** Acknowledged writes whose value was not there at the end. */
  lostWrites: number;
  /** The same Redis process as at the beginning. */
  sameRedis: boolean;
  latency: Latency;
}

/** From a write to its answer, ms. */
export interface Latency {
  unprotected: Spread;
  protected: Spread;
  /** On the host where the guest is in the end. */
  after: Spread;
  /** Around the first fault. */
  slices: Slice[];
}

/** Moments of the story, CLOCK_MONOTONIC ms. */
export interface StoryMoments {
  askedAtMs: number;
  protectedAtMs: number;
  killedAtMs: number;
  resumedAtMs: number;
}

/** Asks for the longest wait that ended after `fromMs`, told with the first answer after `untilMs`. */
export interface WaitQuestion {
  number: number;
  /** CLOCK_MONOTONIC ms, both. */
  fromMs: number;
  untilMs: number;
}

export type ClientMessage =
  | { ready: true }
  | { report: ConversationReport }
  | { waited: Wait; number: number }
  | { final: ClientFinal }
  | { audited: { lostWrites: number } }
  | { failed: string };

export type ClientRequest =
  | { do: 'mark' }
  | { do: 'wait'; question: WaitQuestion }
  | { do: 'finish'; moments: StoryMoments }
  | { do: 'audit'; socket: string };

/** Writes in flight on the one connection. */
const WRITERS = 16;
const REPORT_EVERY_MS = 100;
const READ_BACK_BATCH = 500;
/** What is shown of the conversation before the kill, and after it. */
const SHOWN_BEFORE_MS = 500;
const SHOWN_AFTER_MS = 1_500;
/** How long the answers that are still due may take at the end. */
const LAST_ANSWERS_MS = 5_000;

const host = process.argv[2] ?? '';
const talk = new Conversation();
const heard = new BeaconLog();
const written = new Map<string, string>();
let questions: WaitQuestion[] = [];
let finishing = false;

function send(message: ClientMessage): void {
  process.send?.(message);
}

function latencyOf({ askedAtMs, protectedAtMs, killedAtMs, resumedAtMs }: StoryMoments): Latency {
  return {
    unprotected: talk.latency(0, askedAtMs),
    protected: talk.latency(protectedAtMs, killedAtMs),
    // The first answers after the takeover are old questions.
    after: talk.latency(
      Math.max(resumedAtMs, talk.report().gapToMs) + SHOWN_BEFORE_MS,
      monotonicMs(),
    ),
    slices: talk.slices(killedAtMs - SHOWN_BEFORE_MS, killedAtMs + SHOWN_AFTER_MS),
  };
}

function uptimeMs(): number {
  return Number(heard.report().lastUptimeNs / 1_000_000n);
}

async function write(redis: Redis, writer: number): Promise<void> {
  for (let turn = 0; !finishing; turn += 1) {
    const key = `${writer}:${turn % 4_096}`;
    const value = `${turn}`;
    const sentMs = monotonicMs();
    try {
      await redis.set(key, value);
    } catch {
      // The connection ended, which is a finding (`tcpSurvived`), not a failure of this program.
      return;
    }
    written.set(key, value);
    const nowMs = monotonicMs();
    talk.answered(nowMs, nowMs - sentMs);
    tellWaits(nowMs);
  }
}

function tellWaits(nowMs: number): void {
  const due = questions.filter(({ untilMs }) => untilMs < nowMs);
  if (due.length === 0) return;
  questions = questions.filter((question) => !due.includes(question));
  for (const { number, fromMs } of due) {
    send({ waited: talk.longestWait(fromMs, nowMs), number });
  }
}

/** Never connects again: a lost connection must be seen as one. */
function connectOnce(to: { host: string; port: number } | { path: string }): Redis {
  return new Redis({
    ...to,
    retryStrategy: () => null,
    maxRetriesPerRequest: null,
    enableReadyCheck: false,
  });
}

/** Writes that were answered and are not there; one without an answer may be there or not. */
async function readBack(redis: Redis): Promise<number> {
  const keys = [...written.keys()];
  let lost = 0;
  for (let at = 0; at < keys.length; at += READ_BACK_BATCH) {
    const batch = keys.slice(at, at + READ_BACK_BATCH);
    const values = await redis.mget(batch);
    lost += batch.filter((key, index) => !isThere(values[index], written.get(key))).length;
  }
  return lost;
}

// A key's value is the turn in which it was written.
function isThere(found: string | null | undefined, answered: string | undefined): boolean {
  return found != null && Number(found) >= Number(answered);
}

async function audit(socket: string): Promise<void> {
  const redis = connectOnce({ path: socket });
  redis.on('error', () => undefined);
  send({ audited: { lostWrites: await readBack(redis) } });
  redis.disconnect();
}

async function redisIdentity(redis: Redis): Promise<string> {
  return /^run_id:(\w+)/m.exec(await redis.info('server'))?.[1] ?? 'unknown';
}

async function main(): Promise<void> {
  const beacons = createSocket('udp4').on('message', (datagram) =>
    heard.receive(datagram, process.hrtime.bigint()),
  );
  await new Promise<void>((resolve) => beacons.bind(BEACON_PORT, resolve));
  let closed = false;
  const guest = { host, port: REDIS_PORT };
  const redis = connectOnce(guest).on('end', () => {
    closed = true;
  });
  // What failed ends the connection; that end is what is reported.
  redis.on('error', () => undefined);
  const [connection, server] = [await redis.client('ID'), await redisIdentity(redis)];
  const uptimeFromMs = uptimeMs();
  const writers = Array.from({ length: WRITERS }, (_, writer) => write(redis, writer));
  const finish = new Promise<StoryMoments>((resolve) => {
    process.on('message', (request: ClientRequest) => {
      if (request.do === 'mark') talk.mark();
      else if (request.do === 'wait') questions.push(request.question);
      else if (request.do === 'finish') resolve(request.moments);
      else audit(request.socket).catch(fail);
    });
  });
  const reporting = setInterval(() => send({ report: talk.report() }), REPORT_EVERY_MS);
  send({ ready: true });
  const moments = await finish;
  clearInterval(reporting);
  finishing = true;
  const answered = await Promise.race([
    Promise.all(writers).then(() => true),
    delay(LAST_ANSWERS_MS, false, { ref: false }),
  ]);
  // Over a connection that is stuck nothing can be read back: a second one counts what is lost.
  const survived = answered && !closed;
  const auditor = survived ? redis : connectOnce(guest);
  const final: ClientFinal = {
    ...talk.report(),
    forgottenBeacons: heard.report().forgotten,
    uptimeFromMs,
    uptimeToMs: uptimeMs(),
    latency: latencyOf(moments),
    lostWrites: await readBack(auditor),
    sameRedis: (await redisIdentity(auditor)) === server,
    tcpSurvived: survived && (await redis.client('ID')) === connection,
  };
  send({ final });
  redis.disconnect();
  auditor.disconnect();
  beacons.close();
}

function fail(error: unknown): void {
  send({ failed: messageOf(error) });
  process.exitCode = 1;
  process.disconnect();
}

process.on('disconnect', () => process.exit());
main().catch(fail);
