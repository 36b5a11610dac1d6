/** HTTP + JSON over a UNIX socket: how the CLI asks an agent, and an agent its sessions. */
import { Client } from 'undici';
import { messageOf, UnderstudyError } from '../../errors.js';
import { agentError } from '../errors.js';
import { CONTROL_TIMEOUT_MS } from '../limits.js';
import type { Reason } from '../status.js';

/** One request to a control socket (session or agent); its typed errors come back as they were thrown. */
export async function controlRequest(
  socketPath: string,
  method: 'GET' | 'POST',
  path: string,
  body?: object,
  timeoutMs: number = CONTROL_TIMEOUT_MS,
): Promise<unknown> {
  const client = clientOf(socketPath, timeoutMs, timeoutMs);
  try {
    const response = await client.request({
      method,
      path,
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    const answer = await response.body.json();
    if (response.statusCode < 400) return answer;
    throw errorOf(answer, response.statusCode);
  } catch (cause) {
    if (cause instanceof UnderstudyError) throw cause;
    throw unreachable(socketPath, cause);
  } finally {
    await client.close();
  }
}

/** The lines of an answer that goes on until either side ends it, `signal` included. @throws as `controlRequest` */
export async function* controlLines(
  socketPath: string,
  path: string,
  signal?: AbortSignal,
): AsyncGenerator<string, void> {
  // Nothing may happen for days.
  const client = clientOf(socketPath, CONTROL_TIMEOUT_MS, 0);
  // Not the request alone: undici would connect anew.
  const hangUp = (): void => void client.destroy();
  signal?.addEventListener('abort', hangUp, { once: true });
  try {
    if (signal?.aborted === true) return;
    const { statusCode, body } = await client.request({ method: 'GET', path });
    if (statusCode >= 400) throw errorOf(await body.json(), statusCode);
    let rest = '';
    for await (const chunk of body.setEncoding('utf8') as AsyncIterable<string>) {
      const lines = `${rest}${chunk}`.split('\n');
      rest = lines.pop() ?? '';
      yield* lines;
    }
  } catch (cause) {
    if (signal?.aborted === true) return;
    if (cause instanceof UnderstudyError) throw cause;
    throw unreachable(socketPath, cause);
  } finally {
    signal?.removeEventListener('abort', hangUp);
    await client.destroy();
  }
}

function clientOf(socketPath: string, headersTimeout: number, bodyTimeout: number): Client {
  return new Client('http://understudy', { connect: { socketPath }, headersTimeout, bodyTimeout });
}

function errorOf(answer: unknown, statusCode: number): UnderstudyError {
  const { code, message, remedy } = (answer as { error?: Reason }).error ?? {
    code: 'INTERNAL',
    message: `HTTP ${statusCode}`,
    remedy: 'See the log of the agent.',
  };
  return new UnderstudyError(code, message, remedy);
}

/** What kept a request from its answer, as an error of ours. */
export function unreachable(socketPath: string, cause: unknown): UnderstudyError {
  const forbidden = cause instanceof Error && 'code' in cause && cause.code === 'EACCES';
  const code = forbidden ? 'AGENT_SOCKET_FORBIDDEN' : 'AGENT_UNREACHABLE';
  return agentError(code, `${socketPath}: ${messageOf(cause)}`, { cause });
}

/** Whether a request got no answer at all, not even an error. */
export function isUnanswered(error: unknown): boolean {
  return error instanceof UnderstudyError && error.code === 'AGENT_UNREACHABLE';
}

/** Whether a request failed because the process that served that socket is gone. */
export function isDeadSocket(error: unknown): boolean {
  if (!(error instanceof UnderstudyError)) return false;
  const { cause } = error.context;
  return cause instanceof Error && 'code' in cause && cause.code === 'ECONNREFUSED';
}
