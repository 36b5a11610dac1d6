/**
 * Processor time of everything that runs in a host of the laboratory, by what it is. What the kernel
 * does for it in interrupts and in threads of its own is in none of these figures.
 */
import { readFile } from 'node:fs/promises';
import type { Lab } from '../../src/lab/lab.js';
import { type HostName, mountNamespacePath, netnsPath } from '../../src/lab/layout.js';
import { processesIn } from '../../src/lab/processes.js';
import { type CpuTimes, type Kind, kindOf, parseStatSeconds } from './cpu-time-lines.js';

/** Of the processes that there are; what one that has ended used meanwhile is not known. */
export async function cpuTimes(lab: Lab, host: HostName): Promise<CpuTimes> {
  const pids = await processesIn([
    netnsPath(lab.prefix, host),
    mountNamespacePath(lab.prefix, host),
  ]);
  const found = await Promise.all(pids.map(cpuTimeOf));
  return new Map(found.filter((one) => one !== undefined));
}

async function cpuTimeOf(
  pid: number,
): Promise<[number, { kind: Kind; seconds: number }] | undefined> {
  const files = [`/proc/${pid}/cmdline`, `/proc/${pid}/stat`];
  const texts = await Promise.all(files.map((path) => readFile(path, 'latin1').catch(() => '')));
  const [commandLine = '', stat = ''] = texts;
  if (commandLine === '' || stat === '') return undefined;
  return [pid, { kind: kindOf(commandLine.split('\0')), seconds: parseStatSeconds(stat) }];
}
