/** Waits for a guest's word on its serial console, which QEMU writes to a file. */
import { watch } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { labError } from './errors.js';
import { CONSOLE_BYTES_MAX, LOG_TAIL_BYTES_MAX } from './limits.js';

export const READY_LINE = /^us-ready\r?$/m;
const FAILED_LINE = /^(?:us-failed: .*|.*Kernel panic.*)$/m;

export type ConsoleVerdict = { ready: true } | { ready: false; reason: string } | undefined;

/** What the console's text says about the guest; undefined while it says nothing. Pure. */
export function judgeConsole(text: string): ConsoleVerdict {
  if (READY_LINE.test(text)) return { ready: true };
  const failed = FAILED_LINE.exec(text);
  if (failed !== null) return { ready: false, reason: failed[0].trim() };
  if (text.length >= CONSOLE_BYTES_MAX) return { ready: false, reason: 'the console overflows' };
  return undefined;
}

/**
 * Resolves when the guest is ready. @throws LAB_GUEST_NOT_READY when it fails or after `timeoutMs`, LAB_GUEST_SILENT
 * when it said nothing until then
 */
export async function waitUntilReady(path: string, timeoutMs: number): Promise<void> {
  const file = await open(path, 'a+');
  try {
    const { text, verdict } = await follow(file, path, timeoutMs);
    if (verdict?.ready === true) return;
    const reason = verdict?.reason ?? `no "us-ready" within ${timeoutMs} ms`;
    if (text === '' && verdict === undefined) {
      throw labError('LAB_GUEST_SILENT', `nothing on console ${path} within ${timeoutMs} ms`);
    }
    const tail = text.slice(-LOG_TAIL_BYTES_MAX);
    throw labError('LAB_GUEST_NOT_READY', `${reason}; console ${path} ends with:\n${tail}`);
  } finally {
    await file.close();
  }
}

async function follow(
  file: FileHandle,
  path: string,
  timeoutMs: number,
): Promise<{ text: string; verdict: ConsoleVerdict }> {
  // One character per byte, so that a line cut inside a character is not lost.
  const read = async () => {
    const buffer = Buffer.alloc(CONSOLE_BYTES_MAX);
    const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
    return buffer.toString('latin1', 0, bytesRead);
  };
  const deadline = AbortSignal.timeout(timeoutMs);
  const change = new ChangeSignal();
  const watcher = watch(path, () => change.raise());
  watcher.on('error', () => change.raise());
  deadline.addEventListener('abort', () => change.raise());
  try {
    for (;;) {
      // Armed before reading: a change between the two is not missed.
      const changed = change.next();
      const text = await read();
      const verdict = judgeConsole(text);
      if (verdict !== undefined || deadline.aborted) return { text, verdict };
      await changed;
    }
  } finally {
    watcher.close();
  }
}

/** A level that can be awaited again and again. */
class ChangeSignal {
  #raise: () => void = () => undefined;

  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#raise = resolve;
    });
  }

  raise(): void {
    this.#raise();
  }
}
