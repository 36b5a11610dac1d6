/**
 * A session's process as something that ends: forked by this agent, or found running and watched.
 */
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { deferred } from '../../deferred.js';
import { type NativeProcessWatch, native } from '../../native.js';
import type { DomainStatus } from '../status.js';

export interface SessionEnd {
  /** It ended by itself after what was asked of it. */
  orderly: boolean;
  how: string;
}

export interface SessionLife {
  readonly pid: number;
  /** Resolves when the process is gone; never rejects. */
  readonly ended: Promise<SessionEnd>;
}

export function lifeOfChild(child: ChildProcess): SessionLife {
  return {
    pid: child.pid ?? 0,
    ended: new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        const how = signal === null ? `exit code ${code}` : `killed by ${signal}`;
        resolve({ orderly: code === 0, how });
      });
    }),
  };
}

/**
 * Of a process that another agent started: whether its end was orderly is in its last status, as only its parent
 * is told how it ended.
 */
export function lifeOfStranger(pid: number, statusPath: string): SessionLife {
  const gone = deferred();
  // Held by the life, or the watch would end with it.
  const watch = watchUnlessGone(pid, gone.resolve);
  const ended = gone.promise.then(async () => {
    watch?.close();
    const last = await lastWrittenStatus(statusPath).catch(() => undefined);
    const orderly = last?.over === true;
    return { orderly, how: orderly ? 'ended' : 'died; an earlier agent had started it' };
  });
  return { pid, ended };
}

/** Of a session that died while no agent was there. */
export const lifeThatEnded: SessionLife = {
  pid: 0,
  ended: Promise.resolve({ orderly: false, how: 'died while no agent was there' }),
};

/** What the session wrote at its last change of state; undefined when it never did. */
export async function lastWrittenStatus(path: string): Promise<DomainStatus | undefined> {
  if (!existsSync(path)) return undefined;
  return JSON.parse(await readFile(path, 'utf8')) as DomainStatus;
}

function watchUnlessGone(pid: number, onGone: () => void): NativeProcessWatch | undefined {
  try {
    return native.watchProcess(pid, onGone);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
    onGone();
    return undefined;
  }
}
