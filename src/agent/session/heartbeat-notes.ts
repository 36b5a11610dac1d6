/** What operators are told of heartbeat paths: a domain whose last path fails next is taken over. */
import type { HeartbeatPath, HeartbeatSummary } from '../../failover/heartbeat-paths.js';
import { LOG_EVENTS, type Log } from '../log.js';

export function notePath(log: Log, { address, up, silentMs }: HeartbeatPath): void {
  if (up) log.info(LOG_EVENTS.pathUp, { address });
  else log.warn(LOG_EVENTS.pathDown, { address, silentMs });
}

export function pathWarnings(heartbeat: HeartbeatSummary | undefined): string[] {
  return (heartbeat?.paths ?? [])
    .filter(({ up }) => !up)
    .map(({ address }) => `the heartbeat path to ${address} is down`);
}
