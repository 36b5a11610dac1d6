/** What a request to protect leaves open and this host's files answer: who the backup is, how to listen for it. Pure. */
import { clusterError } from '../../cluster/errors.js';
import { type ClusterHost, findHost } from '../../config/hosts-file.js';
import type { HeartbeatPolicy } from '../../wire/messages.js';
import type { Endpoint } from '../domain/check.js';

/**
 * The agent of the host that is called `host` in hosts.yaml, and every address that it has; undefined when there is
 * no host of that name.
 */
export function backupNamed(
  hosts: readonly ClusterHost[] | undefined,
  { host }: { host: string },
): { backup: Endpoint; heartbeatHosts: string[] } | undefined {
  const found = findHost(hosts ?? [], host);
  const [first] = found?.addresses ?? [];
  // An address is taken as it was given: whoever names it chooses the link.
  if (found === undefined || found.name !== host || first === undefined) return undefined;
  return { backup: { host: first, port: found.port }, heartbeatHosts: [...found.addresses] };
}

/**
 * A name that hosts.yaml does not have is a mistake in it, rather than something to be looked for in the network.
 * @throws HOST_UNKNOWN
 */
export function requireKnown(
  hosts: readonly ClusterHost[] | undefined,
  { host }: { host: string },
): void {
  if (hosts === undefined || isAddress(host) || findHost(hosts, host) !== undefined) return;
  const names = hosts.map(({ name }) => name).join(', ');
  throw clusterError('HOST_UNKNOWN', `hosts.yaml has no host ${host}; it has ${names}`);
}

/** Of IPv4 or IPv6: no name ends in a digit and has nothing but such characters before it. */
function isAddress(host: string): boolean {
  return host.includes(':') || /^[\d.]+$/.test(host);
}

/** The body of a request with what it leaves open filled in; its shape is checked afterwards. */
export function withDefaults(
  body: Readonly<Record<string, unknown>>,
  { hosts, heartbeat }: { hosts: readonly ClusterHost[] | undefined; heartbeat: HeartbeatPolicy },
): Record<string, unknown> {
  const named = isEndpoint(body.backup) ? backupNamed(hosts, body.backup) : undefined;
  const asked = body.heartbeat ?? {};
  return {
    ...named,
    ...body,
    ...(named === undefined ? {} : { backup: named.backup }),
    heartbeat: typeof asked === 'object' ? { ...heartbeat, ...asked } : asked,
  };
}

function isEndpoint(value: unknown): value is { host: string } {
  return (
    typeof value === 'object' && value !== null && 'host' in value && typeof value.host === 'string'
  );
}
