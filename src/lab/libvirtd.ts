/**
 * A host's private mounts and the libvirtd that runs in them.
 *
 * What libvirt learns about QEMU at its first start (8 s of probing) is kept in the cache
 * directory: a later start takes 0.1 s.
 */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import {
  chmod,
  copyFile,
  cp,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  writeFile,
} from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { messageOf } from '../errors.js';
import { runCommand } from './command.js';
import { labError } from './errors.js';
import {
  CONSOLE_DIRECTORY,
  cacheDirectory,
  type HostName,
  hostDirectory,
  mountNamespacePath,
  netnsPath,
  PRIVATE_DIRECTORIES,
  runDirectory,
} from './layout.js';
import { LIBVIRTD_START_TIMEOUT_MS, LOG_TAIL_BYTES_MAX } from './limits.js';
import type { Host } from './place.js';
import { platformKey } from './platform.js';

/** Marks our file systems in every mount table, so that one laboratory can drop another's copies. */
export const MOUNT_SOURCE = 'understudy-lab';

/** In memory, as all of the laboratory is; `path` lies at or below a private directory. */
export interface HostFileSystem {
  path: string;
  mib: number;
}

const HOOK = fileURLToPath(
  new URL('../../deploy/libvirt/hooks/qemu.d/understudy', import.meta.url),
);

/** Inside a host. */
const LIBVIRTD_LOG = '/var/log/libvirt/libvirtd.log';
const CAPABILITIES = 'qemu/capabilities';
const keptCapabilities = async () =>
  `${cacheDirectory()}/libvirt-capabilities-${await platformKey()}`;

/**
 * Makes the host's mount namespace, kept by a bind mount: it needs no process to live on.
 * The state directory must be mounted and the host's network namespace must exist.
 */
export async function createMounts(
  prefix: string,
  host: HostName,
  fileSystems: readonly HostFileSystem[] = [],
): Promise<void> {
  const directory = hostDirectory(prefix, host);
  const inside = PRIVATE_DIRECTORIES.map((path) => `${directory}${path}`);
  await Promise.all(
    [...PRIVATE_DIRECTORIES, ...inside, `${directory}${CONSOLE_DIRECTORY}`].map((path) =>
      mkdir(path, { recursive: true }),
    ),
  );
  for (const { path, mib } of fileSystems) {
    await mkdir(`${directory}${path}`, { recursive: true });
    const bound = `mode=0755,size=${mib}m`;
    await runCommand('mount', ['-t', 'tmpfs', '-o', bound, MOUNT_SOURCE, `${directory}${path}`]);
  }
  const target = mountNamespacePath(prefix, host);
  await writeFile(target, '');
  // `slave`: what is unmounted outside later goes away inside too, and nothing comes out.
  const enter = [`--net=${netnsPath(prefix, host)}`, 'unshare', `--mount=${target}`];
  await runCommand('nsenter', [
    ...enter,
    '--propagation',
    'slave',
    'sh',
    '-euc',
    mountScript(prefix, directory),
  ]);
}

function mountScript(prefix: string, directory: string): string {
  return [
    // Copies of other laboratories' mounts would live as long as this namespace.
    `awk '$1 == "${MOUNT_SOURCE}" && index($2 "/", "${runDirectory(prefix)}/") != 1 { print $2 }' /proc/mounts |` +
      ' while read -r other; do umount -l "$other" || ! mountpoint -q "$other"; done',
    // sysfs shows the network namespace of whoever mounts it; libvirt reads bridges there.
    'mount -t sysfs sysfs /sys',
    ...PRIVATE_DIRECTORIES.map((path) => `mount --rbind '${directory}${path}' '${path}'`),
  ].join('\n');
}

/** Resolves when the host's libvirtd answers. Restarting after `killHost` keeps what is on its disk. */
export async function startLibvirtd(host: Host): Promise<void> {
  const { runDir } = host;
  // As after a reboot: /run is empty, the rest is as it was.
  for (const directory of ['run/libvirt', 'run/understudy/sessions', 'run/understudy/standby']) {
    await emptied(`${runDir}/${directory}`);
  }
  const capabilities = `${runDir}/var/cache/libvirt/${CAPABILITIES}`;
  const kept = await keptCapabilities();
  const known = existsSync(kept);
  if (known) await cp(kept, capabilities, { recursive: true, preserveTimestamps: true });
  if (!existsSync(`${runDir}/etc/libvirt/libvirtd.conf`)) {
    await writeFile(`${runDir}/etc/libvirt/libvirtd.conf`, libvirtdConf());
    await writeFile(`${runDir}/etc/libvirt/qemu.conf`, QEMU_CONF);
    await installHook(runDir);
  }
  await startAndAnswer(host);
  if (!known) await keepCapabilities(capabilities, kept);
}

/** A libvirtd that died alone is started again; it finds the guests that it left. @throws LAB_LIBVIRTD_FAILED */
export function restartLibvirtd(host: Host): Promise<void> {
  return startAndAnswer(host);
}

/** As on a real host: what keeps libvirt from starting a copy that the other host may run. */
async function installHook(runDir: string): Promise<void> {
  const directory = `${runDir}/etc/libvirt/hooks/qemu.d`;
  await mkdir(directory, { recursive: true });
  await copyFile(HOOK, `${directory}/understudy`);
  await chmod(`${directory}/understudy`, 0o755);
}

/** @throws LAB_LIBVIRTD_FAILED with the end of its log */
async function startAndAnswer(host: Host): Promise<void> {
  const timeoutMs = LIBVIRTD_START_TIMEOUT_MS;
  try {
    await startUnderInit(host, timeoutMs);
    await runCommand('virsh', ['-q', '-c', host.libvirtUri, 'version'], { timeoutMs });
  } catch (error) {
    const log = await readFile(`${host.runDir}${LIBVIRTD_LOG}`, 'utf8').catch(() => '(no log)');
    throw labError(
      'LAB_LIBVIRTD_FAILED',
      `libvirtd of host ${host.name}: ${messageOf(error)}; its log ends with:\n${log.slice(-LOG_TAIL_BYTES_MAX)}`,
      { cause: error },
    );
  }
}

/**
 * libvirtd as the child of a small init that reaps what it leaves (tini -s: PR_SET_CHILD_SUBREAPER),
 * as a real host's init does: libvirt waits for a killed QEMU until its zombie is gone.
 */
async function startUnderInit(host: Host, timeoutMs: number): Promise<void> {
  const daemon = 'libvirtd --daemon --pid-file /run/libvirt/libvirtd.pid';
  // With --daemon it returns when the sockets listen; no polling for a socket file.
  const script = `${daemon} && echo listening && exec sleep infinity`;
  const init = host.spawn('tini', ['-s', '--', 'sh', '-c', script], {
    stdio: ['ignore', 'pipe', 'ignore'],
    detached: true,
  });
  init.unref();
  const signal = AbortSignal.timeout(timeoutMs);
  const [first] = await Promise.race([
    once(init.stdout as Readable, 'data', { signal }),
    once(init, 'exit', { signal }),
  ]);
  if (!Buffer.isBuffer(first)) throw labError('LAB_LIBVIRTD_FAILED', 'libvirtd did not start');
  init.stdout?.destroy();
}

async function emptied(directory: string): Promise<void> {
  const entries = existsSync(directory) ? await readdir(directory) : [];
  await Promise.all(
    entries.map((entry) => rm(`${directory}/${entry}`, { recursive: true, force: true })),
  );
}

// Another laboratory may do the same at the same time: whoever is first wins, both are right.
async function keepCapabilities(from: string, to: string): Promise<void> {
  const staged = `${to}.${randomUUID()}`;
  await cp(from, staged, { recursive: true, preserveTimestamps: true });
  try {
    await rename(staged, to);
  } catch (error) {
    await rm(staged, { recursive: true, force: true });
    if (!existsSync(to)) throw error;
  }
}

// Access is by file permission of the socket: root only. No dbus, polkit or TLS is there.
const libvirtdConf = () => `listen_tls = 0
listen_tcp = 0
auth_unix_ro = "none"
auth_unix_rw = "none"
unix_sock_group = "root"
unix_sock_rw_perms = "0700"
host_uuid = "${randomUUID()}"
log_outputs = "2:file:${LIBVIRTD_LOG}"
`;

// The namespaces are the confinement here; virtlogd, cgroups and security drivers are not.
const QEMU_CONF = `security_driver = "none"
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
cgroup_controllers = []
namespaces = []
stdio_handler = "file"
`;
