/**
 * Names, paths and addresses of a laboratory; all follow from its prefix, so that a later
 * process (or one after a crash) finds everything again. Pure.
 *
 * Networks:
 *   client network 10.86.0.0/16, fd86::/64: hosts and guests on bridge `br0` of each host, joined by
 *   the switch `lan` in the client's namespace
 *   replication link 10.87.1.0/30, fd87::/64: `repl` of one host to `repl` of the other
 *
 * A host sees private directories in place of the system's own (PRIVATE_DIRECTORIES); from
 * outside, each lies under the host's `runDir` at the same path.
 */
import { labError } from './errors.js';
import { PREFIX_PATTERN } from './limits.js';

export const HOST_NAMES = ['a', 'b'] as const;
export type HostName = (typeof HOST_NAMES)[number];
export type PlaceName = HostName | 'c';
export const PLACE_NAMES: readonly PlaceName[] = [...HOST_NAMES, 'c'];

export const DEFAULT_PREFIX = 'uslab';

export const HOST_ADDRESSES: Readonly<
  Record<HostName, { lan: string; lan6: string; repl: string; repl6: string }>
> = {
  a: { lan: '10.86.0.1', lan6: 'fd86::1', repl: '10.87.1.1', repl6: 'fd87::1' },
  b: { lan: '10.86.0.2', lan6: 'fd86::2', repl: '10.87.1.2', repl6: 'fd87::2' },
};
export const CLIENT_ADDRESS = { lan: '10.86.0.254', lan6: 'fd86::fe' } as const;

/** What libvirt and our own agent keep on a host. */
export const PRIVATE_DIRECTORIES = [
  '/run/libvirt',
  '/var/lib/libvirt',
  '/var/log/libvirt',
  '/var/cache/libvirt',
  '/etc/libvirt',
  '/run/understudy',
  '/var/lib/understudy',
  '/etc/understudy',
] as const;

/** Inside a host; there on both, because a standby's XML names the same console as its primary's. */
export const CONSOLE_DIRECTORY = '/var/log/libvirt/qemu';

/** Inside a host, of which each has its own. */
export const DISK_DIRECTORY = '/var/lib/libvirt/images';

/** @throws LAB_OPTION_INVALID */
export function checkedPrefix(prefix: string): string {
  if (!PREFIX_PATTERN.test(prefix)) {
    throw labError('LAB_OPTION_INVALID', `prefix "${prefix}" does not match ${PREFIX_PATTERN}`);
  }
  return prefix;
}

export const runDirectory = (prefix: string) => `/run/${prefix}`;
export const stateFile = (prefix: string) => `${runDirectory(prefix)}/state.json`;
export const hostDirectory = (prefix: string, host: HostName) => `${runDirectory(prefix)}/${host}`;
export const netnsName = (prefix: string, place: PlaceName) => `${prefix}-${place}`;
export const netnsPath = (prefix: string, place: PlaceName) =>
  `/run/netns/${netnsName(prefix, place)}`;
/** A file that keeps the host's mount namespace alive. */
export const mountNamespacePath = (prefix: string, host: HostName) =>
  `${runDirectory(prefix)}/${host}.mnt`;
/** The same path inside and outside the host's namespaces. */
export const libvirtUri = (prefix: string, host: HostName) =>
  `qemu+unix:///system?socket=${hostDirectory(prefix, host)}/run/libvirt/libvirt-sock`;

/** Address of the n-th guest, from 1. */
export const guestAddress = (n: number) => ({
  ip: `10.86.1.${n}`,
  ip6: `fd86::1:${n.toString(16)}`,
});

/** Where a checkout-independent cache lies (kernel, image, probe results). */
export const cacheDirectory = () =>
  `${process.env.UNDERSTUDY_CACHE_DIR ?? '/var/cache/understudy'}/lab`;
