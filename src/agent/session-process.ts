/**
 * A session's process as the agent sees it: forked, watched, asked over its control socket. When it
 * ends without having been asked, the gate it may have left closed is opened, so that the guest does not
 * stay frozen; its output stays held.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { constants, existsSync } from 'node:fs';
import { mkdir, open, readFile, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { messageOf, UnderstudyError } from '../errors.js';
import { controlRequest } from './control-request.js';
import type { EpochReport } from './epoch-report.js';
import { agentError } from './errors.js';
import { SESSION_READY_TIMEOUT_MS, STATUS_TIMEOUT_MS } from './limits.js';
import type { SessionConfig } from './session-config.js';
import { type SessionPaths, sessionPaths } from './session-control.js';
import type { SessionReady } from './session-main.js';
import { type DomainStatus, reasonOf } from './status.js';

export interface SessionEnd {
  /** It ended by itself after what was asked of it. */
  orderly: boolean;
  how: string;
}

export class SessionProcess {
  #end: SessionEnd | undefined;

  private constructor(
    readonly config: SessionConfig,
    private readonly paths: SessionPaths,
    private readonly child: ChildProcess,
    /** Where a backup session listens. */
    readonly port: number | undefined,
    onEnded: (end: SessionEnd) => void,
  ) {
    child.once('exit', (code, signal) => {
      this.#end = {
        orderly: code === 0,
        how: signal === null ? `exit code ${code}` : `killed by ${signal}`,
      };
      openLeftGate(paths.fifo).then(
        () => onEnded(this.#end as SessionEnd),
        () => onEnded(this.#end as SessionEnd),
      );
    });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  get hasEnded(): boolean {
    return this.#end !== undefined;
  }

  /** Resolves when the session answers on its control socket; otherwise it is killed. */
  static async start(
    config: SessionConfig,
    onEnded: (end: SessionEnd) => void,
  ): Promise<SessionProcess> {
    const paths = sessionPaths(config.runDir, config.domain, config.role);
    await mkdir(dirname(paths.log), { recursive: true, mode: 0o711 });
    await requireNobody(config, paths);
    await rm(paths.status, { force: true });
    const log = await open(paths.log, 'a', 0o600);
    try {
      const child = fork(fileURLToPath(new URL('./session-main.js', import.meta.url)), {
        detached: true,
        execArgv: ['--enable-source-maps'],
        stdio: ['ignore', log.fd, log.fd, 'ipc'],
      });
      const ready = await readiness(child, config, paths);
      return new SessionProcess(config, paths, child, ready.port, onEnded);
    } finally {
      await log.close();
    }
  }

  /** The live status; of a session that ended or does not answer, the last one and what that means. */
  async status(): Promise<DomainStatus> {
    try {
      if (this.#end === undefined) {
        const { socket } = this.paths;
        const answer = await controlRequest(
          socket,
          'GET',
          '/v1/status',
          undefined,
          STATUS_TIMEOUT_MS,
        );
        return answer as DomainStatus;
      }
    } catch (cause) {
      // A session that ends closes its socket a moment before its process is gone.
      if (!(await this.endsWithin(STATUS_TIMEOUT_MS))) {
        const message = `the ${this.config.role} session does not answer: ${messageOf(cause)}`;
        return this.#lastStatus(agentError('AGENT_SESSION_SILENT', message, { cause }));
      }
    }
    if (this.#end?.orderly === true) return this.#lastStatus();
    const message = `the ${this.config.role} session ended: ${this.#end?.how}`;
    return this.#lastStatus(agentError('AGENT_SESSION_DIED', message));
  }

  async request(path: '/v1/unprotect' | '/v1/failover', body: object = {}): Promise<DomainStatus> {
    return (await controlRequest(this.paths.socket, 'POST', path, body)) as DomainStatus;
  }

  /** @throws AGENT_NO_EPOCHS, EPOCH_ENDED */
  async checkpoint(wait: boolean): Promise<{ epoch?: number }> {
    const { socket } = this.paths;
    const answer = await controlRequest(socket, 'POST', '/v1/checkpoint', { wait });
    return answer as { epoch?: number };
  }

  /** Of the newest `count` epochs. @throws AGENT_NO_EPOCHS */
  async epochs(count: number): Promise<EpochReport> {
    const { socket } = this.paths;
    return (await controlRequest(socket, 'GET', `/v1/epochs?count=${count}`)) as EpochReport;
  }

  /** Whether the process is gone within `timeoutMs`. */
  async endsWithin(timeoutMs: number): Promise<boolean> {
    if (!this.hasEnded) {
      const signal = AbortSignal.timeout(timeoutMs);
      await once(this.child, 'exit', { signal }).catch(() => undefined);
    }
    return this.hasEnded;
  }

  /** What the session last wrote; with `failure` it is failed, whatever it was then. */
  async #lastStatus(failure?: UnderstudyError): Promise<DomainStatus> {
    const { domain, role } = this.config;
    const since = new Date().toISOString();
    const none = { domain, role, state: 'failed' as const, term: 0, since, sessionPid: this.pid };
    const last = existsSync(this.paths.status)
      ? (JSON.parse(await readFile(this.paths.status, 'utf8')) as DomainStatus)
      : none;
    if (failure === undefined) return last;
    return { ...last, state: 'failed', reason: reasonOf(failure) };
  }
}

/** A session outlives its agent; another one for the same domain and role would fight with it. */
async function requireNobody({ domain, role }: SessionConfig, paths: SessionPaths): Promise<void> {
  if (!existsSync(paths.socket)) return;
  let pid: number;
  try {
    const status = await controlRequest(
      paths.socket,
      'GET',
      '/v1/status',
      undefined,
      STATUS_TIMEOUT_MS,
    );
    pid = (status as DomainStatus).sessionPid;
  } catch (error) {
    // Nobody listens: the socket is a dead session's.
    if (error instanceof UnderstudyError && isRefusal(error.context.cause)) return;
    throw error;
  }
  const message = `process ${pid}, started by an earlier agent, is the ${role} session of ${domain}`;
  throw agentError('AGENT_ALREADY_PROTECTED', message, { domain });
}

function isRefusal(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && cause.code === 'ECONNREFUSED';
}

function readiness(
  child: ChildProcess,
  config: SessionConfig,
  { log }: SessionPaths,
): Promise<SessionReady> {
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => {
      clearTimeout(timer);
      child.kill('SIGKILL');
      const context = { domain: config.domain };
      reject(agentError('AGENT_SESSION_NOT_READY', `${why}; its log is ${log}`, context));
    };
    const timer = setTimeout(
      () => fail(`not ready within ${SESSION_READY_TIMEOUT_MS} ms`),
      SESSION_READY_TIMEOUT_MS,
    );
    const onExit = (code: number | null): void => fail(`it ended with code ${code}`);
    child.once('exit', onExit);
    child.once('message', (message) => {
      clearTimeout(timer);
      child.off('exit', onExit);
      resolve(message as SessionReady);
    });
    child.send(config);
  });
}

/**
 * Opens and closes the reading end of a FIFO gate whose session died: a QEMU that waits in open(2)
 * or write(2) gets EPIPE and resumes its guest (fifo(7)). Unlinked in between, so that a later
 * open cannot block either: QEMU then creates a plain file.
 */
async function openLeftGate(fifo: string): Promise<void> {
  if (!existsSync(fifo)) return;
  const reader = await open(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
  await rm(fifo, { force: true });
  await reader.close();
}
