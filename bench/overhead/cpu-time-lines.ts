/** Processor times of processes as /proc has them, and what was used between two looks. Pure. */

export const KINDS = ['session', 'agent', 'QEMU', 'libvirtd', 'other'] as const;
export type Kind = (typeof KINDS)[number];

/** By pid. */
export type CpuTimes = ReadonlyMap<number, { kind: Kind; seconds: number }>;

export type CpuByKind = Readonly<Record<Kind, number>>;

/** Ticks of /proc, whatever the kernel’s own are (proc(5), sysconf(3)). */
const TICKS_PER_S = 100;

/** By its command line. Ours are scripts, at any place of Node’s. */
export function kindOf(commandLine: readonly string[]): Kind {
  const program = commandLine[0] ?? '';
  const runs = (script: RegExp): boolean =>
    /(^|\/)node$/.test(program) && commandLine.some((word) => script.test(word));
  if (/qemu-system-[^/]*$/.test(program)) return 'QEMU';
  if (/libvirtd$/.test(program)) return 'libvirtd';
  if (runs(/session-main\.js$/)) return 'session';
  if (runs(/understudyd$/)) return 'agent';
  return 'other';
}

/**
 * utime and stime of all threads, also of those that have ended; fields 14 and 15 of proc(5). Their sum is
 * exact to a tick: the kernel scales both to the scheduler’s own account (cputime_adjust).
 */
export function parseStatSeconds(stat: string): number {
  // The name, field 2, may hold spaces and parentheses: count from its end.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S;
}

/** Percent of one core between two looks; a process that is new counts from its start. */
export function usedPercent(before: CpuTimes, after: CpuTimes, wallSeconds: number): CpuByKind {
  const percent = { session: 0, agent: 0, QEMU: 0, libvirtd: 0, other: 0 };
  for (const [pid, { kind, seconds }] of after) {
    const used = seconds - (before.get(pid)?.seconds ?? 0);
    percent[kind] += (100 * used) / wallSeconds;
  }
  return percent;
}
