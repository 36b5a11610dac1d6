/** The target that ours is compared with: nbdkit’s memory plugin, on host a, as large as the disk. */
import type { ChildProcess } from 'node:child_process';
import { access, rm } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { SESSION_NICENESS } from '../../src/agent/limits.js';
import type { Lab } from '../../src/lab/lab.js';
import { benchError } from '../errors.js';
import { NBDKIT_START_TIMEOUT_MS } from '../limits.js';
import { endChild } from './child.js';
import type { LoadedGuest } from './loaded-guest.js';

/** nbdkit has no event for it that reaches us; its socket appears within milliseconds. */
const LOOK_EVERY_MS = 10;

/** Runs `measure` while the disk is copied to a fresh nbdkit. @throws BENCH_PROGRAM_FAILED */
export async function withNbdkit<T>(
  lab: Lab,
  guest: LoadedGuest,
  measure: () => Promise<T>,
): Promise<T> {
  const socketPath = `${lab.host('a').runDir}/run/nbdkit.sock`;
  // Left by the one before, which was killed.
  await rm(socketPath, { force: true });
  const nbdkit = start(lab, socketPath, guest.diskBytes);
  try {
    await listening(nbdkit, socketPath);
    return await guest.mirrored(socketPath, () => undefined, measure);
  } finally {
    await endChild(nbdkit);
  }
}

function start(lab: Lab, socketPath: string, bytes: number): ChildProcess {
  // Ahead of other work, as a session is.
  const command = ['-n', String(SESSION_NICENESS), 'nbdkit', '-f', '-U', socketPath];
  return lab.host('a').spawn('nice', [...command, 'memory', String(bytes)], { stdio: 'inherit' });
}

async function listening(nbdkit: ChildProcess, socketPath: string): Promise<void> {
  const deadlineMs = performance.now() + NBDKIT_START_TIMEOUT_MS;
  while (!(await isThere(socketPath))) {
    if (nbdkit.exitCode !== null || performance.now() > deadlineMs) {
      throw benchError('BENCH_PROGRAM_FAILED', `${nbdkit.spawnargs.join(' ')} does not listen`);
    }
    await delay(LOOK_EVERY_MS);
  }
}

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
