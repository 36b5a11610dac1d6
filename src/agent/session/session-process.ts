/**
 * A session's process as the agent sees it: forked, watched, asked over its control socket. When it
 * ends without having been asked, the gate it may have left closed is opened, so that the guest does not
 * stay frozen; its output stays held.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { constants, existsSync } from 'node:fs';
import { mkdir, open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { messageOf, type UnderstudyError } from '../../errors.js';
import type { Message } from '../../wire/messages.js';
import { controlRequest, isDeadSocket, isUnanswered } from '../control/control-request.js';
import { agentError } from '../errors.js';
import { SESSION_READY_TIMEOUT_MS, STATUS_TIMEOUT_MS } from '../limits.js';
import type { EpochReport } from '../primary/epoch-report.js';
import { type DomainStatus, reasonOf } from '../status.js';
import type { FoundSession, SessionName } from './found-sessions.js';
import type { SessionConfig } from './session-config.js';
import { type SessionPaths, sessionPaths } from './session-control.js';
import {
  lastWrittenStatus,
  lifeOfChild,
  lifeOfStranger,
  lifeThatEnded,
  type SessionEnd,
  type SessionLife,
} from './session-life.js';
import type { SessionReady } from './session-main.js';

export class SessionProcess {
  #end: SessionEnd | undefined;

  private constructor(
    readonly name: SessionName,
    private readonly paths: SessionPaths,
    private readonly life: SessionLife,
    /** Where a backup session listens. */
    readonly port: number | undefined,
    onEnded: (end: SessionEnd) => void,
  ) {
    void this.#followToItsEnd(onEnded);
  }

  get pid(): number {
    return this.life.pid;
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
      const life = lifeOfChild(child);
      const ready = await readiness(child, config, paths);
      return new SessionProcess(config, paths, life, ready.port, onEnded);
    } finally {
      await log.close();
    }
  }

  /** A session that an earlier agent started: it lives on, or died while no agent was there. */
  static adopt(
    { name, paths, card }: FoundSession,
    onEnded: (end: SessionEnd) => void,
  ): SessionProcess {
    const life = card === undefined ? lifeThatEnded : lifeOfStranger(card.pid, paths.status);
    return new SessionProcess(name, paths, life, card?.port, onEnded);
  }

  /** The live status; of a session that ended or does not answer, the last one and what that means. */
  async status(): Promise<DomainStatus> {
    try {
      if (this.#end === undefined) return await liveStatus(this.paths);
    } catch (cause) {
      // A session that ends closes its socket a moment before its process is gone.
      const gone = this.endsWithin(STATUS_TIMEOUT_MS);
      // Not the session may have stood still but this process: the answer came, and was read too late.
      const answer = await liveStatus(this.paths).catch(() => undefined);
      if (answer !== undefined) return answer;
      if (!(await gone)) {
        const message = `the ${this.name.role} session does not answer: ${messageOf(cause)}`;
        return this.#lastStatus(agentError('AGENT_SESSION_SILENT', message, { cause }));
      }
    }
    if (this.#end?.orderly === true) return this.#lastStatus();
    const message = `the ${this.name.role} session ended: ${this.#end?.how}`;
    return this.#lastStatus(agentError('AGENT_SESSION_DIED', message));
  }

  /**
   * @throws AGENT_NOT_PROTECTED when it has ended meanwhile, AGENT_SESSION_SILENT, and what the session throws; the
   * requests below do as well
   */
  request(
    path: `/v1/${'unprotect' | 'pause' | 'failover' | 'switchover' | 'superseded'}`,
    body: object = {},
  ): Promise<DomainStatus> {
    return this.#ask('POST', path, body);
  }

  /** What a primary needs to connect to this backup session, once. */
  admit(): Promise<Message<'prepared'>> {
    return this.#ask('POST', '/v1/admit', {});
  }

  /** @throws AGENT_NO_EPOCHS, EPOCH_ENDED */
  checkpoint(wait: boolean): Promise<{ epoch?: number }> {
    return this.#ask('POST', '/v1/checkpoint', { wait });
  }

  /** Of the newest `count` epochs. @throws AGENT_NO_EPOCHS */
  epochs(count: number): Promise<EpochReport> {
    return this.#ask('GET', `/v1/epochs?count=${count}`);
  }

  /** Whether the process is gone within `timeoutMs`. */
  async endsWithin(timeoutMs: number): Promise<boolean> {
    if (!this.hasEnded) {
      const timer = new AbortController();
      const over = delay(timeoutMs, undefined, { signal: timer.signal }).catch(() => undefined);
      await Promise.race([this.life.ended, over]);
      timer.abort();
    }
    return this.hasEnded;
  }

  async #ask<T>(method: 'GET' | 'POST', path: string, body?: object): Promise<T> {
    try {
      return (await controlRequest(this.paths.socket, method, path, body)) as T;
    } catch (cause) {
      if (!isUnanswered(cause)) throw cause;
      const { domain, role } = this.name;
      // A session that ends closes its socket a moment before its process is gone.
      if (await this.endsWithin(STATUS_TIMEOUT_MS)) {
        const message = `the ${role} session of ${domain} has ended`;
        throw agentError('AGENT_NOT_PROTECTED', message, { cause, domain });
      }
      const message = `the ${role} session does not answer: ${messageOf(cause)}`;
      throw agentError('AGENT_SESSION_SILENT', message, { cause, domain });
    }
  }

  async #followToItsEnd(onEnded: (end: SessionEnd) => void): Promise<void> {
    this.#end = await this.life.ended;
    // A gate that cannot be opened is not there any more.
    await openLeftGate(this.paths.fifo).catch(() => undefined);
    onEnded(this.#end);
  }

  /** What the session last wrote; with `failure` it is failed, whatever it was then. */
  async #lastStatus(failure?: UnderstudyError): Promise<DomainStatus> {
    const { domain, role } = this.name;
    const since = new Date().toISOString();
    const none = { domain, role, state: 'failed' as const, term: 0, since, sessionPid: this.pid };
    const last = (await lastWrittenStatus(this.paths.status)) ?? none;
    if (failure === undefined) return last;
    return { ...last, state: 'failed', reason: reasonOf(failure) };
  }
}

async function liveStatus({ socket }: SessionPaths): Promise<DomainStatus> {
  const timeoutMs = STATUS_TIMEOUT_MS;
  return (await controlRequest(socket, 'GET', '/v1/status', undefined, timeoutMs)) as DomainStatus;
}

/** A session outlives its agent; another one for the same domain and role would fight with it. */
async function requireNobody({ domain, role }: SessionName, paths: SessionPaths): Promise<void> {
  if (!existsSync(paths.socket)) return;
  let pid: number;
  try {
    pid = (await liveStatus(paths)).sessionPid;
  } catch (error) {
    // Nobody listens: the socket is a dead session's.
    if (isDeadSocket(error)) return;
    throw error;
  }
  const message = `process ${pid}, started by an earlier agent, is the ${role} session of ${domain}`;
  throw agentError('AGENT_ALREADY_PROTECTED', message, { domain });
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
