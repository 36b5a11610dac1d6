/**
 * Removes a laboratory by its prefix alone: works on a running one, after a crash of its owner,
 * after an interrupted start, and on none at all.
 */
import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { runCommand } from './command.js';
import {
  checkedPrefix,
  HOST_NAMES,
  mountNamespacePath,
  netnsName,
  netnsPath,
  PLACE_NAMES,
  runDirectory,
} from './layout.js';
import { killProcessesIn } from './processes.js';

/** Idempotent. @throws LAB_TEARDOWN_INCOMPLETE, LAB_COMMAND_FAILED */
export async function tearDown(prefix: string): Promise<void> {
  checkedPrefix(prefix);
  await killProcessesIn([
    ...PLACE_NAMES.map((place) => netnsPath(prefix, place)),
    ...HOST_NAMES.map((host) => mountNamespacePath(prefix, host)),
  ]);
  // Innermost first: the mount namespaces' files, then the file system that they lie on.
  for (const path of (await mountsUnder(runDirectory(prefix))).reverse()) {
    await runCommand('umount', ['--lazy', path]);
  }
  for (const place of PLACE_NAMES) {
    if (existsSync(netnsPath(prefix, place))) {
      await runCommand('ip', ['netns', 'del', netnsName(prefix, place)]);
    }
  }
  await rm(runDirectory(prefix), { recursive: true, force: true });
}

/** Mount points at or below `directory`, outermost first. */
async function mountsUnder(directory: string): Promise<string[]> {
  // proc(5), mountinfo: the fifth field is the mount point.
  const points = (await readFile('/proc/self/mountinfo', 'utf8'))
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '');
  return points.filter((point) => point === directory || point.startsWith(`${directory}/`));
}
