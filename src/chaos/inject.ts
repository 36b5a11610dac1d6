/** Puts one fault into a pair of hosts, and takes it back. The only place where a fault becomes commands. */

import { messageOf } from '../errors.js';
import { quoted } from '../shell-word.js';
import type { ChaosHost } from './chaos-host.js';
import type { ChaosLink, Step, Target, Way } from './faults.js';
import { kindOf } from './faults.js';
import {
  directoriesToFill,
  emptyDisk,
  FILL_FILE,
  fillDisk,
  letGoOn,
  pidOf,
  sendSignal,
} from './host-commands.js';
import { SELF_HEAL_MARGIN_MS } from './limits.js';
import { HEAL_SCRIPT } from './link-rules.js';

/** Takes a fault back. May be called once more: then nothing is left to do. */
export type Mend = () => Promise<void>;

export interface Injected {
  mend: Mend;
  /** Died with the fault: as long as a status names one of them, it is of before. */
  deadPids: readonly number[];
}

/**
 * The fault is in when this resolves; `mend` ends one that lasts. When it rejects, what was begun is mended.
 * @throws CHAOS_FAULT_IMPOSSIBLE, CHAOS_COMMAND_FAILED, CHAOS_HOST_UNREACHABLE
 */
export async function inject(step: Step, host: ChaosHost, domain: string): Promise<Injected> {
  const { act } = kindOf(step.fault);
  const selfHealMs = step.lastsMs + SELF_HEAL_MARGIN_MS;
  switch (act.do) {
    case 'signal':
      return act.signal === 'SIGKILL'
        ? kill(host, act.target, domain)
        : living(await stop(host, act.target, domain, selfHealMs));
    case 'crash':
      return crash(host, domain);
    case 'cut':
      return living(await cut(host, act.links, step.way, selfHealMs));
    case 'fill':
      return living(await fill(host, act.what, domain, selfHealMs));
  }
}

const living = (mend: Mend): Injected => ({ mend, deadPids: [] });

async function crash(host: ChaosHost, domain: string): Promise<Injected> {
  const status = await host.status(domain);
  await host.crash();
  const pids = [status?.sessionPid, status?.qemuPid].filter((pid) => pid !== undefined);
  return { mend: () => host.boot(), deadPids: pids };
}

async function kill(host: ChaosHost, target: Target, domain: string): Promise<Injected> {
  const pid = await pidOf(host, target, await host.status(domain));
  await sendSignal(host, target, pid, 'SIGKILL');
  const mend = target === 'libvirtd' ? () => host.ensureLibvirtd() : async () => undefined;
  return { mend, deadPids: [pid] };
}

async function stop(
  host: ChaosHost,
  target: Target,
  domain: string,
  selfHealMs: number,
): Promise<Mend> {
  const pid = await pidOf(host, target, await host.status(domain));
  await host.mendByItself(selfHealMs, `kill -CONT ${pid}`);
  await sendSignal(host, target, pid, 'SIGSTOP');
  return () => letGoOn(host, target, pid);
}

async function cut(
  host: ChaosHost,
  links: readonly ChaosLink[],
  way: Way,
  selfHealMs: number,
): Promise<Mend> {
  await host.mendByItself(selfHealMs, HEAL_SCRIPT);
  await host.cut(links, way);
  return () => host.healLinks();
}

async function fill(
  host: ChaosHost,
  what: 'state' | 'disks',
  domain: string,
  selfHealMs: number,
): Promise<Mend> {
  const directories = await directoriesToFill(host, what, await host.status(domain));
  const files = directories.map((directory) => quoted(`${directory}/${FILL_FILE}`));
  await host.mendByItself(selfHealMs, `rm -f ${files.join(' ')}`);
  const mend = async (): Promise<void> => {
    for (const directory of directories) await emptyDisk(host, directory);
  };
  try {
    for (const directory of directories) await fillDisk(host, directory);
  } catch (error) {
    await mend();
    throw error;
  }
  return mend;
}

/** Every host as it was, as far as a host can be reached; returns what could not be mended. */
export async function mendAll(mends: readonly { what: string; mend: Mend }[]): Promise<string[]> {
  const failed: string[] = [];
  for (const { what, mend } of mends) {
    try {
      await mend();
    } catch (error) {
      failed.push(`${what}: ${messageOf(error)}`);
    }
  }
  return failed;
}
