/** HTTP + JSON over a UNIX socket: how the CLI asks an agent, and an agent its sessions. */
import { Client } from 'undici';
import { messageOf, UnderstudyError } from '../errors.js';
import { agentError } from './errors.js';
import { CONTROL_TIMEOUT_MS } from './limits.js';
import type { Reason } from './status.js';

/** One request to a control socket (session or agent); its typed errors come back as they were thrown. */
export async function controlRequest(
  socketPath: string,
  method: 'GET' | 'POST',
  path: string,
  body?: object,
  timeoutMs: number = CONTROL_TIMEOUT_MS,
): Promise<unknown> {
  const client = new Client('http://understudy', {
    connect: { socketPath },
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
  });
  try {
    const response = await client.request({
      method,
      path,
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    const answer = (await response.body.json()) as { error?: Reason };
    if (response.statusCode < 400) return answer;
    const { code, message, remedy } = answer.error ?? {
      code: 'INTERNAL',
      message: `HTTP ${response.statusCode}`,
      remedy: 'See the log of the agent.',
    };
    throw new UnderstudyError(code, message, remedy);
  } catch (cause) {
    if (cause instanceof UnderstudyError) throw cause;
    throw agentError('AGENT_UNREACHABLE', `${socketPath}: ${messageOf(cause)}`, { cause });
  } finally {
    await client.close();
  }
}

/** Whether a request failed because the process that served that socket is gone. */
export function isDeadSocket(error: unknown): boolean {
  if (!(error instanceof UnderstudyError)) return false;
  const { cause } = error.context;
  return cause instanceof Error && 'code' in cause && cause.code === 'ECONNREFUSED';
}
