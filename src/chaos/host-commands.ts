/**
 * What is done to a host by commands that every host knows: signals, full disks, and mending both. A process is
 * only ever touched after its command line was seen to be what it should be.
 */

import { dirname } from 'node:path';
import type { DomainStatus } from '../agent/status.js';
import { quoted } from '../shell-word.js';
import type { ChaosHost } from './chaos-host.js';
import { chaosError } from './errors.js';
import type { Target } from './faults.js';
import { FILL_BYTES_MAX, FULL_BYTES_MAX } from './limits.js';
import type { Outcome } from './program.js';

/** A word in the command line of the process that is meant. */
const WORDS: Readonly<Record<Target, string>> = {
  qemu: 'qemu',
  session: 'session-main',
  agent: 'understudyd',
  libvirtd: 'libvirtd|virtqemud',
};

export const FILL_FILE = '.understudy-chaos-fill';

/** @throws CHAOS_COMMAND_FAILED when the exit code is not 0 */
export async function runChecked(host: ChaosHost, script: string): Promise<Outcome> {
  const outcome = await host.run(script);
  if (outcome.exitCode === 0) return outcome;
  const said = (outcome.stderr || outcome.stdout).trim();
  throw chaosError(
    'CHAOS_COMMAND_FAILED',
    `host ${host.name}: "${script.split('\n')[0]}" ended with ${outcome.exitCode}: ${said}`,
  );
}

/** The process that is meant. @throws CHAOS_FAULT_IMPOSSIBLE when it does not run */
export async function pidOf(
  host: ChaosHost,
  target: Target,
  status: DomainStatus | undefined,
): Promise<number> {
  const pid = await foundPid(host, target, status);
  if (pid !== undefined && pid > 1) return pid;
  throw chaosError('CHAOS_FAULT_IMPOSSIBLE', `host ${host.name} has no ${target} for this domain`);
}

async function foundPid(
  host: ChaosHost,
  target: Target,
  status: DomainStatus | undefined,
): Promise<number | undefined> {
  if (target === 'session') return status?.sessionPid;
  if (target === 'qemu') return status?.qemuPid;
  // libvirt's own pid files; for the agent, whoever listens on its socket: under --respawn it is not the parent.
  const script =
    target === 'agent'
      ? `ss -xlpH src ${quoted(`${host.directories.run}/agent.sock`)} | sed -n 's/.*pid=\\([0-9]*\\).*/\\1/p'`
      : 'cat /run/libvirt/libvirtd.pid /run/libvirtd.pid /run/virtqemud.pid 2>/dev/null';
  const { stdout } = await host.run(script);
  const [first] = stdout.split('\n');
  return first === undefined || first === '' ? undefined : Number(first);
}

/** @throws CHAOS_FAULT_IMPOSSIBLE when that process is another one by now, or gone */
export async function sendSignal(
  host: ChaosHost,
  target: Target,
  pid: number,
  signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT',
): Promise<void> {
  const name = signal.slice('SIG'.length);
  const { exitCode } = await host.run(
    `tr '\\0' ' ' < /proc/${pid}/cmdline | grep -Eq ${quoted(WORDS[target])} && kill -${name} ${pid}`,
  );
  if (exitCode === 0) return;
  throw chaosError('CHAOS_FAULT_IMPOSSIBLE', `host ${host.name}: process ${pid} is no ${target}`);
}

/** Goes on, if it is still there. */
export async function letGoOn(host: ChaosHost, target: Target, pid: number): Promise<void> {
  await host.run(
    `tr '\\0' ' ' < /proc/${pid}/cmdline 2>/dev/null | grep -Eq ${quoted(WORDS[target])} && kill -CONT ${pid}; true`,
  );
}

/** Directories to be filled. @throws CHAOS_FAULT_IMPOSSIBLE */
export async function directoriesToFill(
  host: ChaosHost,
  what: 'state' | 'disks',
  status: DomainStatus | undefined,
): Promise<string[]> {
  const wanted =
    what === 'state'
      ? [host.directories.state]
      : [...new Set((status?.disks ?? []).map(({ path }) => dirname(path)))];
  if (wanted.length === 0) {
    throw chaosError('CHAOS_FAULT_IMPOSSIBLE', `host ${host.name} has no replica of a disk`);
  }
  for (const directory of wanted) {
    if (await host.mayFill(directory)) continue;
    const why = `${directory} may not be filled, or has more than ${FILL_BYTES_MAX} bytes of room`;
    throw chaosError('CHAOS_FAULT_IMPOSSIBLE', `host ${host.name}: ${why}`);
  }
  return wanted;
}

/** No room is left: `fallocate` takes most of it at once where it can, `dd` the rest down to the last page. */
export async function fillDisk(host: ChaosHost, directory: string): Promise<void> {
  const file = quoted(`${directory}/${FILL_FILE}`);
  const free = `$(df -B1 --output=avail ${quoted(directory)} | tail -n 1)`;
  await runChecked(
    host,
    `fallocate -l "${free}" ${file} 2>/dev/null
     for size in 1M 4096; do
       dd if=/dev/zero of=${file} bs=$size oflag=append conv=notrunc 2>/dev/null
     done
     [ "${free}" -lt ${FULL_BYTES_MAX} ]`,
  );
}

export async function emptyDisk(host: ChaosHost, directory: string): Promise<void> {
  await runChecked(host, `rm -f ${quoted(`${directory}/${FILL_FILE}`)}`);
}

/** Room in a file system, bytes. */
export async function roomIn(host: ChaosHost, directory: string): Promise<number> {
  const { stdout } = await runChecked(
    host,
    `df -B1 --output=avail ${quoted(directory)} | tail -n 1`,
  );
  return Number(stdout);
}
