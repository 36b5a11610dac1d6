/**
 * The demo: a real guest on two real hosts is protected, loses its primary and goes on in the middle of a
 * client's conversation. Tells the story to a narrator and returns the figures.
 */
import { randomInt } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { DomainStatus } from '../../agent/status.js';
import { monotonicMs } from '../../clock.js';
import type { GuestOptions } from '../guest.js';
import { HostPair } from '../host-pair.js';
import { Lab } from '../lab.js';
import { ClientProcess } from './client-process.js';
import type { ConversationReport } from './conversation.js';
import { auditDisk } from './disk-audit.js';
import { type DemoFigures, type DemoOptions, figuresOf } from './figures.js';

/** What happens, as it happens. */
export interface Narrator {
  phase(text: string): void;
  syncing(status: DomainStatus): void;
  epochs(status: DomainStatus, client: ConversationReport | undefined): void;
}

const DOMAIN = 'demo';
const TAKEOVER_TIMEOUT_MS = 20_000;
/** TCP's own retransmission takes up to 3 s after a second's silence. */
const ANSWER_TIMEOUT_MS = 10_000;
const LOOK_EVERY_MS = 500;
/** The conversation before protection, to compare with. */
const UNPROTECTED_MS = 1_000;
/** The conversation goes on this long after the takeover before it is judged. */
const AFTERWARDS_MS = 1_500;
/** The kill falls at a random moment of the last of these milliseconds: any point of an epoch. */
const KILL_SPREAD_MS = 200;

const REDIS_ON_DISK: Pick<GuestOptions, 'disks' | 'options'> = {
  disks: [{ name: 'vda', format: 'raw', mib: 256, filesystem: 'ext4' }],
  options: { data: 'vda', redis_disk: 1 },
};

export async function runDemo(options: DemoOptions, tell: Narrator): Promise<DemoFigures> {
  const startedAtMs = monotonicMs();
  const lab = await Lab.up();
  const { disk: hasDisk = true } = options;
  let client: ClientProcess | undefined;
  try {
    tell.phase('two hosts with libvirt are up, a network and a client beside them');
    const [pair, guest] = await Promise.all([
      HostPair.start(lab),
      lab.startGuest({
        name: DOMAIN,
        memoryMib: options.memoryMib,
        vcpus: options.vcpus,
        machine: options.machine,
        run: ['redis', 'beacon'],
        ...(hasDisk ? REDIS_ON_DISK : {}),
      }),
    ]);
    const bootS = (monotonicMs() - startedAtMs) / 1000;
    tell.phase(
      `a Linux guest runs on host a and serves Redis (${bootS.toFixed(1)} s after the start)`,
    );
    if (hasDisk) tell.phase('Redis answers a write when it is on the guest’s disk (ext4)');
    client = await ClientProcess.start(lab, guest.ip);
    tell.phase('a client opened its one connection; it will never reconnect');

    await delay(UNPROTECTED_MS);
    const syncFromMs = monotonicMs();
    await pair.protect(DOMAIN, {
      ...options.policy,
      faults: [...options.faults],
      onStatus: tell.syncing,
    });
    const protectedAtMs = monotonicMs();
    const syncSeconds = (protectedAtMs - syncFromMs) / 1000;
    tell.phase(`protected: host b can take over (${syncSeconds.toFixed(2)} s after asking)`);
    client.mark();

    const { status: primary, apartMs } = await watch(pair, client, options.durationS, tell);
    const killedAtMs = await kill(lab, primary, options.kill);
    tell.phase(
      options.kill === 'qemu'
        ? 'KILL: SIGKILL to the guest’s QEMU on host a'
        : 'KILL: host a loses power (agent, QEMU, libvirtd and cables at once)',
    );
    const backup = await pair.waitFor('b', DOMAIN, isOver, TAKEOVER_TIMEOUT_MS);
    tellTakeover(backup, killedAtMs, tell);
    const answered = await client.answeredAfter(killedAtMs, ANSWER_TIMEOUT_MS);
    tell.phase(
      answered === undefined
        ? `no answer on the client’s connection within ${ANSWER_TIMEOUT_MS / 1000} s`
        : `first answer ${(answered.gapToMs - killedAtMs).toFixed(0)} ms after the kill`,
    );
    await delay(AFTERWARDS_MS);
    const final = await client.finish({
      askedAtMs: syncFromMs,
      protectedAtMs,
      killedAtMs,
      resumedAtMs: backup.takeover?.resumedAtMs ?? killedAtMs,
    });
    const disk = hasDisk ? await auditDisk(lab.host('b'), backup, client, tell.phase) : undefined;
    return figuresOf({
      options,
      primary,
      apartMs,
      backup,
      syncSeconds,
      killedAtMs,
      client: final,
      disk,
    });
  } finally {
    client?.kill();
    await lab.down();
  }
}

/** Epochs as they go by; returns the primary's last status, and how far apart its pauses were (median). */
async function watch(
  pair: HostPair,
  client: ClientProcess,
  seconds: number,
  tell: Narrator,
): Promise<{ status: DomainStatus; apartMs: number }> {
  const endMs = monotonicMs() + seconds * 1000;
  const { client: agent } = pair.agent('a');
  let status = await agent.status(DOMAIN);
  while (monotonicMs() < endMs) {
    await delay(Math.min(LOOK_EVERY_MS, Math.max(1, endMs - monotonicMs())));
    status = await agent.status(DOMAIN);
    tell.epochs(status, client.latest);
  }
  await delay(randomInt(KILL_SPREAD_MS));
  const { apartMs } = await agent.epochs(DOMAIN);
  return { status: await agent.status(DOMAIN), apartMs: apartMs.p50 };
}

/** CLOCK_MONOTONIC ms of the moment of death. */
async function kill(lab: Lab, primary: DomainStatus, what: 'qemu' | 'host'): Promise<number> {
  if (what === 'host') return Number((await lab.killHost('a')).diedAtNs) / 1e6;
  if (primary.qemuPid === undefined) throw new TypeError('the primary has no QEMU');
  process.kill(primary.qemuPid, 'SIGKILL');
  return monotonicMs();
}

function isOver({ state }: DomainStatus): boolean {
  return state === 'promoted' || state === 'failed';
}

function tellTakeover(
  { takeover, reason }: DomainStatus,
  killedAtMs: number,
  tell: Narrator,
): void {
  if (takeover === undefined) {
    tell.phase(`no takeover: ${reason?.code} ${reason?.message}`);
    return;
  }
  const detectMs = takeover.decidedAtMs - killedAtMs;
  const why =
    takeover.cause === 'peerYielded' ? 'its host says that QEMU died' : 'silence on every path';
  tell.phase(`detected after ${detectMs.toFixed(0)} ms (${why})`);
  const { epoch, diskEpoch } = takeover;
  const disk = diskEpoch === undefined ? '' : `, its disk is at ${diskEpoch}`;
  tell.phase(
    `promoted in ${takeover.promoteMs.toFixed(1)} ms from epoch ${epoch}${disk}; ` +
      `${takeover.discardedBytes} bytes of an incomplete epoch thrown away`,
  );
}
