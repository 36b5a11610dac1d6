/**
 * `understudyd --respawn`: where there is no service manager, this process keeps the agent running as its child.
 * It does nothing else, so that it lives on whatever happens to the agent.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { RESPAWN_DELAY_MS_MAX, RESPAWN_DELAY_MS_MIN, RESPAWN_STEADY_MS } from './limits.js';
import { LOG_EVENTS, openLog } from './log.js';

/** How long to wait after a child that lived for `livedMs`; `lastMs` is the wait before it, 0 at first. Pure. */
export function respawnDelayMs(lastMs: number, livedMs: number): number {
  if (lastMs === 0 || livedMs >= RESPAWN_STEADY_MS) return RESPAWN_DELAY_MS_MIN;
  return Math.min(2 * lastMs, RESPAWN_DELAY_MS_MAX);
}

/** Resolves with the exit code once SIGTERM or SIGINT came and the agent has ended; its sessions go on. */
export async function respawn(argv: readonly string[]): Promise<number> {
  const log = openLog({ name: 'understudyd', respawn: process.pid });
  const stop = new AbortController();
  let child: ChildProcess | undefined;
  const onSignal = (signal: NodeJS.Signals): void => {
    stop.abort();
    child?.kill(signal);
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  let delayMs = 0;
  while (!stop.signal.aborted) {
    const beganMs = performance.now();
    child = fork(process.argv[1] ?? '', [...argv], { execArgv: process.execArgv });
    const [code, signal] = await endOf(child);
    if (stop.signal.aborted) break;
    delayMs = respawnDelayMs(delayMs, performance.now() - beganMs);
    log.error(LOG_EVENTS.agentDied, { pid: child.pid, code, signal, againInMs: delayMs });
    await delay(delayMs, undefined, { signal: stop.signal }).catch(() => undefined);
  }
  return 0;
}

async function endOf(child: ChildProcess): Promise<[number | null, NodeJS.Signals | null]> {
  const [code, signal] = await once(child, 'exit');
  return [code, signal];
}
