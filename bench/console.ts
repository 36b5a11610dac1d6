/** Waits for a line that a program in the guest prints on its console. */
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { benchError } from './errors.js';
import { CONSOLE_LINE_TIMEOUT_MS } from './limits.js';

/** The file belongs to another process’s program and is small: looking again is simplest. */
const LOOK_EVERY_MS = 50;

/** @throws BENCH_GUEST_NOT_SETTLED */
export async function consoleLine(path: string, line: RegExp): Promise<void> {
  const deadlineMs = performance.now() + CONSOLE_LINE_TIMEOUT_MS;
  for (;;) {
    const text = await readFile(path, 'latin1');
    if (line.test(text)) return;
    if (/^us-failed: /m.test(text) || performance.now() > deadlineMs) {
      throw benchError('BENCH_GUEST_NOT_SETTLED', `no ${line} on ${path}, which holds:\n${text}`);
    }
    await delay(LOOK_EVERY_MS);
  }
}
