/**
 * Finds processes by the namespaces they live in: who started them, and whether a record of
 * them survived, does not matter, and a recycled pid can never be mistaken for one.
 */
import { readdir, readFile, stat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { labError } from './errors.js';
import { KILL_RECHECK_MS, KILL_TIMEOUT_MS } from './limits.js';

/** Pids of all processes in one of the namespaces whose files are given; missing files are skipped. */
export async function processesIn(namespaceFiles: readonly string[]): Promise<number[]> {
  const wanted = new Set(
    (await Promise.all(namespaceFiles.map(inode))).filter((found) => found !== undefined),
  );
  if (wanted.size === 0) return [];
  const pids = (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry));
  const inside = await Promise.all(
    pids.map(async (pid) =>
      (await Promise.all([inode(`/proc/${pid}/ns/net`), inode(`/proc/${pid}/ns/mnt`)])).some(
        (found) => found !== undefined && wanted.has(found),
      ),
    ),
  );
  return pids.filter((_, index) => inside[index]).map(Number);
}

/**
 * Kills with SIGKILL whatever lives in the namespaces and resolves when nothing is left.
 * @throws LAB_TEARDOWN_INCOMPLETE after KILL_TIMEOUT_MS
 */
export async function killProcessesIn(namespaceFiles: readonly string[]): Promise<number[]> {
  const killed = new Set<number>();
  const deadlineMs = performance.now() + KILL_TIMEOUT_MS;
  for (;;) {
    const pids = await processesIn(namespaceFiles);
    if (pids.length === 0) return [...killed];
    for (const pid of pids) {
      killed.add(pid);
      sendSignal(pid, 'SIGKILL');
    }
    if (performance.now() > deadlineMs) {
      throw labError('LAB_TEARDOWN_INCOMPLETE', `still there: pids ${pids.join(', ')}`);
    }
    await delay(KILL_RECHECK_MS);
  }
}

/** Start time in clock ticks since boot (proc(5), field 22): with the pid, names one process. */
export async function startTicks(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  // The name, field 2, may hold spaces and parentheses: count from its end.
  return text?.slice(text.lastIndexOf(')') + 2).split(' ')[19];
}

/** False when the process is gone already. */
export function sendSignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

// Device and inode name a namespace; a process that ended meanwhile has none.
async function inode(path: string): Promise<string | undefined> {
  const found = await stat(path).catch(() => undefined);
  return found === undefined ? undefined : `${found.dev}:${found.ino}`;
}
