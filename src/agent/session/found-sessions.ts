/**
 * The sessions that an agent finds when it starts: those of an agent before it go on without one, and may have died
 * since.
 */
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { controlRequest, isDeadSocket } from '../control/control-request.js';
import { STATUS_TIMEOUT_MS } from '../limits.js';
import type { SessionConfig } from './session-config.js';
import { type SessionCard, type SessionPaths, sessionPaths } from './session-control.js';
import { lastWrittenStatus } from './session-life.js';

export type SessionName = Pick<SessionConfig, 'domain' | 'role'>;

export interface FoundSession {
  name: SessionName;
  paths: SessionPaths;
  /** Of one that lives; undefined when it died. */
  card: SessionCard | undefined;
}

/** Those of the dead come first, as of one domain the living one counts. */
export async function findSessions(runDir: string): Promise<FoundSession[]> {
  const directory = `${runDir}/sessions`;
  const files = existsSync(directory) ? await readdir(directory) : [];
  const found: FoundSession[] = [];
  for (const name of files.flatMap((file) => sessionNameOf(file) ?? [])) {
    const paths = sessionPaths(runDir, name.domain, name.role);
    found.push({ name, paths, card: await cardOf(paths) });
  }
  return found.sort(
    (one, other) => Number(one.card !== undefined) - Number(other.card !== undefined),
  );
}

/** What the name of a session's socket says; undefined for the other files there. Pure. */
export function sessionNameOf(file: string): SessionName | undefined {
  const [, domain, role] = /^(.+)\.(primary|backup)\.sock$/.exec(file) ?? [];
  if (domain === undefined || role === undefined) return undefined;
  return { domain: decodeURIComponent(domain), role: role as SessionName['role'] };
}

/** One that hangs lives, and is known by what it wrote when it did not. */
async function cardOf({ socket, status }: SessionPaths): Promise<SessionCard | undefined> {
  try {
    const answer = await controlRequest(socket, 'GET', '/v1/session', undefined, STATUS_TIMEOUT_MS);
    return answer as SessionCard;
  } catch (error) {
    if (isDeadSocket(error)) return undefined;
    const last = await lastWrittenStatus(status);
    return last === undefined ? undefined : { pid: last.sessionPid };
  }
}
