/** Steps of the tests whose guests verify their own disks: one story, told for few kills and for many. */
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import type { DomainStatus } from '../../src/agent/status.js';
import { HostPair } from '../../src/lab/host-pair.js';
import { Lab } from '../../src/lab/lab.js';
import type { HostName } from '../../src/lab/layout.js';
import type { GuestRecord } from '../../src/lab/state.js';
import { type DiskstampReport, Witness } from '../../src/lab/witness.js';
import {
  checksAdvance,
  destroyEverywhere,
  diskChecksAdvance,
  killQemu,
  nothingForgotten,
  PATIENT,
  waitTakeover,
} from './lab-steps.js';

const STAMPED_MIB = 16;
const DISKS = 2;
/** Every stamped block in turn, and those looked at between: some 20 for 16 in turn. */
const CHECKS_PER_ROUND = (BigInt(STAMPED_MIB * 2 ** 20) / 4096n) * BigInt(DISKS) * 3n;
/** One round takes 3 s in an emulated guest that is alone. */
const ROUND_TIMEOUT_MS = 60_000;
/** The kill falls anywhere in this time: in the middle of epochs, checkpoints and writes. */
const KILL_WITHIN_MS = 1_500;

/** The laboratory with everything that these tests ask. */
export interface Scene {
  lab: Lab;
  pair: HostPair;
  witness: Witness;
}

export async function startScene(prefix: string): Promise<Scene> {
  const lab = await Lab.up({ prefix });
  const pair = await HostPair.start(lab, PATIENT);
  return { lab, pair, witness: await Witness.start(lab.client) };
}

/** Verifies its memory and two disks, raw and qcow2, of different sizes. */
export function startVerifiedGuest({ lab }: Scene, name: string, vcpus = 1): Promise<GuestRecord> {
  return lab.startGuest({
    name,
    vcpus,
    disks: [
      { format: 'raw', mib: 64 },
      { format: 'qcow2', mib: 96 },
    ],
    run: ['memstamp', 'diskstamp', 'beacon'],
    options: {
      memstamp_mib: 32,
      memstamp_writes: 16,
      diskstamp: 'vda,vdb',
      diskstamp_mib: STAMPED_MIB,
      diskstamp_writes: 2,
      diskstamp_tick_ms: 5,
    },
  });
}

/** Waits until the guest has read all of its stamped blocks once more; returns what it found. */
export function disksVerified({ witness }: Scene, ip: string): Promise<DiskstampReport> {
  return diskChecksAdvance(witness, ip, { checks: CHECKS_PER_ROUND, timeoutMs: ROUND_TIMEOUT_MS });
}

export interface Kills {
  guest: GuestRecord;
  kills: number;
  /** Of each protection, milliseconds; in turn. */
  intervalsMs: readonly number[];
  random: Random;
}

/** Protects, kills, takes over, verifies, and the same the other way, again and again. */
export async function goThroughKills(scene: Scene, story: Kills): Promise<void> {
  const { pair, lab, witness } = scene;
  const { guest, random, intervalsMs } = story;
  let from: HostName = 'a';
  for (let kill = 1; kill <= story.kills; kill += 1) {
    const to: HostName = from === 'a' ? 'b' : 'a';
    const intervalMs = intervalsMs[kill % intervalsMs.length] ?? 50;
    await pair.protect(guest.name, { from, intervalMs });
    const what = random() < 0.5 ? 'qemu' : 'host';
    const afterMs = Math.floor(random() * KILL_WITHIN_MS);
    await delay(afterMs);
    if (what === 'qemu') await killQemu(pair, from, guest.name);
    else await lab.killHost(from);
    const status = await waitTakeover(pair, to, guest.name);
    const disks = await disksVerified(scene, guest.ip);
    const memory = await checksAdvance(witness, guest.ip);
    const said = `kill ${kill}: ${what} of host ${from}, ${afterMs} ms after protected, ${intervalMs} ms epochs`;
    console.log(`${guest.name}: ${said}; ${takeoverOf(status)}, ${disks.checks} blocks checked`);
    expect(disks.mismatches, said).toBe(0n);
    expect(memory.mismatches, said).toBe(0n);
    expect(status.takeover?.diskEpoch, said).toBe(status.takeover?.epoch);
    await nothingForgotten(witness, said);
    if (what === 'host') await pair.bootHost(from);
    from = to;
  }
  await destroyEverywhere(lab, guest.name);
}

function takeoverOf({ takeover }: DomainStatus): string {
  if (takeover === undefined) return 'no takeover';
  return `epoch ${takeover.epoch} in ${takeover.promoteMs.toFixed(1)} ms`;
}

export type Random = () => number;

/** Numbers from 0 to 1 that a printed seed gives again: UNDERSTUDY_SEED, else one of its own. */
export function seededRandom(): { seed: number; random: Random } {
  const seed = Number(process.env.UNDERSTUDY_SEED ?? Date.now() % 2 ** 31) >>> 0;
  let state = seed;
  const random = (): number => {
    // A 32-bit linear congruential generator; its upper bits are the better ones.
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  return { seed, random };
}
