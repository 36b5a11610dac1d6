/**
 * A session process: one domain, one role. Forked by the agent, told what to do in its first message,
 * then on its own: it goes on when the agent ends, and is found again by its control socket.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { constants, setPriority } from 'node:os';
import { dirname } from 'node:path';
import { DiskRecords } from '../../diskmirror/disk-record.js';
import { messageOf } from '../../errors.js';
import { TermStore } from '../../failover/term-store.js';
import { ClusterTrust } from '../../pki/cluster-trust.js';
import { type BackupListener, listenForPrimary } from '../backup/backup-listener.js';
import { BackupSession } from '../backup/backup-session.js';
import { EventLog, recordedLog } from '../events/event-log.js';
import { SESSION_NICENESS } from '../limits.js';
import { LOG_EVENTS, openLog } from '../log.js';
import { PrimarySession } from '../primary/primary-session.js';
import { type SessionConfig, sessionConfigSchema } from './session-config.js';
import { serveSession, sessionPaths, writeStatus } from './session-control.js';

/** What the agent is told once the session can be reached. */
export interface SessionReady {
  ready: true;
  /** Backup sessions: where the primary connects. */
  port?: number;
}

async function main(config: SessionConfig): Promise<void> {
  const { domain, role, runDir, stateDir } = config;
  const plainLog = openLog({ domain, role, pid: process.pid });
  const events = new EventLog(stateDir, plainLog);
  const log = recordedLog(plainLog, events, 'session', { domain, role });
  const paths = sessionPaths(runDir, domain, role);
  await mkdir(dirname(paths.socket), { recursive: true, mode: 0o711 });
  await goAhead();

  const trust = new ClusterTrust(config.peers);
  let writing: Promise<void> = Promise.resolve();
  const onChanged = (): void => {
    writing = writing
      .then(() => writeStatus(paths, session.status()))
      .catch((error: unknown) => log.error(LOG_EVENTS.teardown, { error: messageOf(error) }));
  };
  const dependencies = {
    log,
    terms: new TermStore(stateDir),
    disks: new DiskRecords(stateDir),
    onChanged,
    trust,
  };
  const session =
    config.role === 'primary'
      ? new PrimarySession(config, dependencies)
      : new BackupSession(config, dependencies);
  await session.prepare();
  const listener: BackupListener | undefined =
    session instanceof BackupSession && config.role === 'backup'
      ? await listenForPrimary(session, config, { trust, log })
      : undefined;
  const port = listener === undefined ? {} : { port: listener.port };
  const control = await serveSession(paths, session, { pid: process.pid, ...port }, listener);
  const running = session.run();
  const ready: SessionReady = { ready: true, ...port };
  process.send?.(ready, () => process.disconnect());
  log.info(LOG_EVENTS.sessionUp, ready);

  await running;
  onChanged();
  await writing;
  log.info(LOG_EVENTS.sessionEnded, { state: session.status().state });
  listener?.close();
  await control.close();
  await rm(paths.socket, { force: true });
  await events.settled();
  process.exit(0);
}

/** Ahead of ordinary work; where the scheduler groups processes by session, the group must be told as well (sched(7)). */
async function goAhead(): Promise<void> {
  setPriority(process.pid, Math.max(SESSION_NICENESS, constants.priority.PRIORITY_HIGHEST));
  await writeFile('/proc/self/autogroup', String(SESSION_NICENESS)).catch((error: unknown) => {
    // Not every kernel groups.
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
  });
}

process.once('message', (message) => {
  main(sessionConfigSchema.parse(message)).catch((error: unknown) => {
    // An invariant of ours is broken or the start failed: stop this session; output stays held.
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : error}\n`);
    process.exit(1);
  });
});
