/** Steps of the proof of output commit: a guest that talks in every kind of packet, and who listens. */
import { setTimeout as delay } from 'node:timers/promises';
import type { ProtectBody } from '../../src/agent/control/client.js';
import { messageOf } from '../../src/errors.js';
import { HostPair } from '../../src/lab/host-pair.js';
import { Lab } from '../../src/lab/lab.js';
import { HOST_NAMES, type HostName } from '../../src/lab/layout.js';
import { Listener } from '../../src/lab/listener.js';
import { STAMP_KINDS, type StampCounts, type TakeoverVerdict } from '../../src/lab/stamp-log.js';
import type { GuestRecord } from '../../src/lab/state.js';
import { type TalkerReport, Witness } from '../../src/lab/witness.js';
import type { Random } from './disk-steps.js';
import { destroyEverywhere, eventually, killQemu, PATIENT, waitTakeover } from './lab-steps.js';

/** How often each kind must be heard from a protected guest before a kill, and after the takeover. */
export const HEARD_EACH_MIN = 10;
/** The kill falls anywhere in this time: in the middle of epochs, checkpoints and releases. */
const KILL_WITHIN_MS = 600;
/** Long enough for many epochs that cannot be committed. */
const CUT_BEFORE_KILL_MS = 300;
/** What a host that was cut off says once it is heard again comes at once. */
const LISTEN_MS = 300;
const FENCED_TIMEOUT_MS = 20_000;

export interface TalkScene {
  lab: Lab;
  pair: HostPair;
  witness: Witness;
}

/** A guest that talks, with its own listener: counters of two guests are not compared. */
export interface Talk {
  guest: GuestRecord;
  listener: Listener;
  first: TalkerReport;
}

export async function startTalkScene(prefix: string): Promise<TalkScene> {
  const lab = await Lab.up({ prefix });
  const pair = await HostPair.start(lab, PATIENT);
  return { lab, pair, witness: await Witness.start(lab.client) };
}

/** Talks, and dirties memory meanwhile: a checkpoint takes its time to ship. */
export async function startTalk({ lab, witness }: TalkScene, name: string): Promise<Talk> {
  // Before the guest, which would be refused its stream.
  const listener = await Listener.start(lab);
  const guest = await lab.startGuest({
    name,
    run: ['talker', 'dirty'],
    options: { talker_hz: 500, dirty_mib: 32, dirty_pages: 400, dirty_period_ms: 10 },
  });
  await heardOfEachKind(listener, guest.host);
  return { guest, listener, first: await witness.talker(guest.ip) };
}

export async function endTalk({ lab }: TalkScene, { guest, listener }: Talk): Promise<void> {
  await listener.close();
  await destroyEverywhere(lab, guest.name);
}

/** How a host stops being the one that runs the guest. */
export const KILLS = {
  qemu: 'its QEMU is killed',
  host: 'it loses power',
  uncommitted: 'it loses power while its checkpoints do not arrive',
  session: 'the session of its agent is killed',
  agent: 'its agent is killed with the session',
  cables: 'all its cables are pulled',
} as const;
export type Kill = keyof typeof KILLS;

export type Protection = Pick<ProtectBody, 'policy' | 'intervalMs' | 'faults'>;

export interface TalkTurn {
  from: HostName;
  kill: Kill;
  protection: Protection;
  random: Random;
}

export interface TalkOutcome {
  verdict: TakeoverVerdict;
  /** For a person. */
  line: string;
}

/**
 * Protects, lets the guest be heard, kills, waits for the takeover and lets the guest be heard again.
 * Host `from` is afterwards as good as new, ready to be the backup.
 */
export async function goThroughTurn(
  scene: TalkScene,
  { guest, listener }: Talk,
  turn: TalkTurn,
): Promise<TalkOutcome> {
  const { pair } = scene;
  const { from, kill, protection, random } = turn;
  const to: HostName = from === 'a' ? 'b' : 'a';
  // Nothing of an older turn runs there any more: a standby does not speak.
  await listener.settle();
  listener.log.expectTakeover(to);
  await pair.protect(guest.name, { from, ...protection });
  await saysWhy(scene, guest.name, heardOfEachKind(listener, from));
  const afterMs = Math.floor(random() * KILL_WITHIN_MS);
  await delay(afterMs);
  await strike(scene, guest.name, turn);
  const { takeover } = await waitTakeover(pair, to, guest.name);
  await saysWhy(scene, guest.name, heardOfEachKind(listener, to, {}));
  await makeGood(scene, guest.name, turn);
  await listener.settle();
  const verdict = listener.log.verdict(to);
  if (verdict === undefined) throw new Error(`nothing was heard of ${guest.name}`);
  const epochs = protection.policy ?? `${protection.intervalMs} ms`;
  const line =
    `${kill} of host ${from} after ${afterMs} ms, ${epochs}: outside up to ${verdict.highestOutside} ` +
    `(${verdict.highestKind}), resumed at ${verdict.resumedAt}, guest had said ${verdict.highestInside}; ` +
    `${verdict.heldBack} never heard, ${verdict.forgotten} forgotten; epoch ${takeover?.epoch}`;
  return { verdict, line };
}

/** What of the promise a takeover broke; empty when all of it was kept. */
export function brokenBy(verdict: TakeoverVerdict): string[] {
  const { forgotten, spokeAfter, after, before } = verdict;
  const unheard = STAMP_KINDS.filter(
    (kind) => Math.min(before[kind], after[kind]) < HEARD_EACH_MIN,
  );
  return [
    ...(forgotten > 0 ? [`the outside heard ${forgotten} packets that the guest forgot`] : []),
    ...(spokeAfter > 0 ? [`two hosts were heard: ${spokeAfter} packets of the failed one`] : []),
    ...unheard.map((kind) => `${kind} was hardly heard: nothing is proven for it`),
  ];
}

/** Of the whole run: one guest, one stream, each packet once, and none that was not understood. */
export async function brokenInAll(
  { witness }: TalkScene,
  { guest, listener, first }: Talk,
): Promise<string[]> {
  const now = await witness.talker(guest.ip);
  const { damaged } = await listener.settle();
  const { boots, repeated } = listener.log;
  return [
    ...(boots > 1 || now.boot !== first.boot ? ['the guest was started anew'] : []),
    ...(now.connections !== first.connections
      ? [`of 1 TCP connection it is now number ${now.connections - first.connections + 1}`]
      : []),
    ...(repeated > 0 ? [`${repeated} packets were heard twice`] : []),
    ...(damaged > 0 ? [`${damaged} packets were damaged`] : []),
  ];
}

/** Every kind was heard of a host often enough, counted from now on or from `since`. */
async function heardOfEachKind(
  listener: Listener,
  host: HostName,
  since: Partial<StampCounts> = listener.log.outside(host),
): Promise<void> {
  await eventually(async () => {
    await listener.settle();
    const heard = listener.log.outside(host);
    const rare = STAMP_KINDS.filter((kind) => heard[kind] < (since[kind] ?? 0) + HEARD_EACH_MIN);
    if (rare.length > 0) throw new Error(`host ${host}: hardly heard ${rare.join(', ')}`);
  });
}

/** A failure with what both hosts think of the domain. */
async function saysWhy({ pair }: TalkScene, domain: string, step: Promise<void>): Promise<void> {
  try {
    await step;
  } catch (cause) {
    const said = await Promise.allSettled(
      HOST_NAMES.map((host) => pair.agent(host).client.status(domain)),
    );
    throw new Error(`${messageOf(cause)}; ${JSON.stringify(said)}`, { cause });
  }
}

async function strike(
  { lab, pair }: TalkScene,
  domain: string,
  { from, kill }: TalkTurn,
): Promise<void> {
  switch (kill) {
    case 'qemu':
      return killQemu(pair, from, domain);
    case 'uncommitted':
      await lab.setLink(from, 'repl', false);
      await delay(CUT_BEFORE_KILL_MS);
      await lab.killHost(from);
      return;
    case 'host':
      await lab.killHost(from);
      return;
    case 'session': {
      const { sessionPid } = await pair.agent(from).client.status(domain);
      process.kill(sessionPid, 'SIGKILL');
      return;
    }
    case 'agent': {
      // Alone, its session would go on without it.
      const { sessionPid } = await pair.agent(from).client.status(domain);
      pair.agent(from).process.kill('SIGKILL');
      process.kill(sessionPid, 'SIGKILL');
      return;
    }
    case 'cables':
      await Promise.all([lab.setLink(from, 'repl', false), lab.setLink(from, 'lan', false)]);
  }
}

/** A host that still runs is heard for a while, with its cables plugged in: it must not say a word. */
async function makeGood(
  { lab, pair }: TalkScene,
  domain: string,
  { from, kill }: TalkTurn,
): Promise<void> {
  if (kill === 'qemu') return;
  if (kill === 'cables') {
    await lab.setLink(from, 'lan', true);
    await lab.setLink(from, 'repl', true);
    const fenced = ({ state }: { state: string }): boolean => state === 'fenced';
    await pair.waitFor(from, domain, fenced, FENCED_TIMEOUT_MS);
  }
  if (kill !== 'host' && kill !== 'uncommitted') {
    await delay(LISTEN_MS);
    await lab.killHost(from);
  }
  await pair.bootHost(from);
}
