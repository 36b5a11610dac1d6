/** What the states of both hosts say about the pair. Pure. */
import type { DomainStatus } from '../agent/status.js';

/** What of a status matters here, of each host; undefined when nobody answers there. */
export interface HostView {
  host: string;
  status:
    | Pick<DomainStatus, 'role' | 'state' | 'term' | 'reason' | 'qemuPid' | 'sessionPid'>
    | undefined;
}

/** Processes that a fault ended, on one host. */
export interface Dead {
  host: string;
  pids: readonly number[];
}

/**
 * Which host is primary and which is backup, when both say that the domain is protected; undefined
 * when it is not, or when what is said is of before: one of the dead is still named.
 */
export function protectedPair(
  views: readonly HostView[],
  dead?: Dead,
): { primary: string; backup: string; term: number } | undefined {
  const stale = views.some(
    ({ host, status }) =>
      host === dead?.host &&
      dead.pids.some((pid) => pid === status?.qemuPid || pid === status?.sessionPid),
  );
  if (stale) return undefined;
  const saying = views.filter(({ status }) => status?.state === 'protected');
  const primary = saying.find(({ status }) => status?.role === 'primary');
  const backup = saying.find(({ status }) => status?.role === 'backup');
  if (primary?.status === undefined || backup === undefined) return undefined;
  return { primary: primary.host, backup: backup.host, term: primary.status.term };
}

/** For people: "a primary degraded (WIRE_CLOSED), b no answer". */
export function viewLine(views: readonly HostView[]): string {
  return views
    .map(({ host, status }) => {
      if (status === undefined) return `${host} no answer`;
      const why = status.reason === undefined ? '' : ` (${status.reason.code})`;
      return `${host} ${status.role} ${status.state}${why}`;
    })
    .join(', ');
}

/** The host that runs the guest, when protection ended and a person would begin it anew. */
export function runner(views: readonly HostView[]): string | undefined {
  const promoted = views.filter(({ status }) => status?.state === 'promoted');
  if (promoted.length === 1) return promoted[0]?.host;
  const newest = views.filter(({ status }) => status !== undefined && status.qemuPid !== undefined);
  return newest.find(({ status }) => status?.role === 'primary')?.host;
}
