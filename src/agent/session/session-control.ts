/**
 * The session's own control socket: HTTP + JSON on a UNIX socket in the agent's run directory.
 * Independent of the agent's life, so that a restarted agent finds its sessions again.
 */
import { chmod, rename, rm, writeFile } from 'node:fs/promises';
import Fastify, { type FastifyInstance } from 'fastify';
import { UnderstudyError } from '../../errors.js';
import type { Message } from '../../wire/messages.js';
import { type EpochReport, epochCount } from '../primary/epoch-report.js';
import { type DomainStatus, reasonOf } from '../status.js';

export interface SessionRequests {
  status(): DomainStatus;
  unprotect(force: boolean): Promise<void>;
  pause(force: boolean): Promise<void>;
  failover(): Promise<void>;
  switchover(): Promise<void>;
  /** The other host acted on this newer term. */
  superseded(term: number): Promise<void>;
  checkpoint(wait: boolean): Promise<{ epoch?: number }>;
  epochs(count: number): EpochReport;
}

/** What another agent must know to go on with a session that it did not start. */
export interface SessionCard {
  pid: number;
  /** Where a backup session listens for its primary. */
  port?: number;
}

export interface SessionPaths {
  socket: string;
  status: string;
  log: string;
  fifo: string;
  /** Of the NBD server; by UUID, as the path of a socket has room for 107 bytes only (unix(7)). */
  mirrorSocket: (uuid: string) => string;
  /** Of the QEMU's monitor for us alone. */
  monitorSocket: (uuid: string) => string;
}

/** Where a session keeps its things; libvirt forbids '/' in domain names. */
export function sessionPaths(
  runDir: string,
  domain: string,
  role: 'primary' | 'backup',
): SessionPaths {
  const stem = `${runDir}/sessions/${encodeURIComponent(domain)}.${role}`;
  return {
    socket: `${stem}.sock`,
    status: `${stem}.status.json`,
    log: `${stem}.log`,
    fifo: `${stem}.gate`,
    mirrorSocket: (uuid) => `${runDir}/mirror/${uuid}.nbd`,
    monitorSocket: (uuid) => `${runDir}/monitor/${uuid}.qmp`,
  };
}

export async function serveSession(
  paths: SessionPaths,
  requests: SessionRequests,
  card: SessionCard,
  /** Backup sessions: lets a primary in. */
  listener?: { admit(): Message<'prepared'> },
): Promise<FastifyInstance> {
  const server = Fastify();
  server.setErrorHandler((error, _request, reply) =>
    reply.code(error instanceof UnderstudyError ? 409 : 500).send({ error: reasonOf(error) }),
  );
  server.get('/v1/session', async () => card);
  if (listener !== undefined) server.post('/v1/admit', async () => listener.admit());
  server.get('/v1/status', async () => requests.status());
  server.post<{ Body: { force?: boolean } }>('/v1/unprotect', async ({ body }) => {
    await requests.unprotect(body?.force === true);
    return requests.status();
  });
  server.post<{ Body: { wait?: boolean } }>('/v1/checkpoint', ({ body }) =>
    requests.checkpoint(body?.wait === true),
  );
  server.get<{ Querystring: { count?: string } }>('/v1/epochs', async ({ query }) =>
    requests.epochs(epochCount(query.count)),
  );
  server.post<{ Body: { force?: boolean } }>('/v1/pause', async ({ body }) => {
    await requests.pause(body?.force === true);
    return requests.status();
  });
  server.post('/v1/switchover', async () => {
    await requests.switchover();
    return requests.status();
  });
  server.post<{ Body: { term: number } }>('/v1/superseded', async ({ body }) => {
    await requests.superseded(body.term);
    return requests.status();
  });
  server.post('/v1/failover', async () => {
    await requests.failover();
    return requests.status();
  });
  await rm(paths.socket, { force: true });
  await server.listen({ path: paths.socket });
  await chmod(paths.socket, 0o600);
  return server;
}

/** Replaces the status file, so that the last word outlives the session. */
export async function writeStatus(paths: SessionPaths, status: DomainStatus): Promise<void> {
  const temporary = `${paths.status}.new`;
  await writeFile(temporary, `${JSON.stringify(status)}\n`, { mode: 0o600 });
  await rename(temporary, paths.status);
}
