/** Ends a program that a measurement started. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** Gone when this resolves; fine when it has ended by itself. */
export async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}
