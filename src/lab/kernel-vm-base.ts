/**
 * The part of a kernel VM's initramfs that rarely changes: busybox, Node, iproute2, the shared
 * libraries of these and of the addon, the product's dependencies. About 180 MB, so it is packed
 * once and cached under a digest of its inputs.
 */
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, realpath, rename, rm, stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { runCommand } from './command.js';
import { CpioArchive } from './cpio.js';
import { cacheDirectory } from './layout.js';
import { KERNEL_VM_BASE_AGE_DAYS_MAX } from './limits.js';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));
export const ADDON = 'native/build/Release/understudy.node';
/** Where the product and its dependencies lie in the VM. */
export const VM_PRODUCT = '/understudy';

/** Statically linked. */
const BUSYBOX = '/bin/busybox';
/** Busybox has applets of these names that know less. */
const IPROUTE2 = ['/usr/sbin/ip', '/usr/sbin/tc', '/usr/sbin/bridge'];
/** What Node reads of a package; the rest is types, sources and documentation. */
const LOADED_BY_NODE = /\.(?:[cm]?js|json)$/;
const PREFIX = 'kernel-vm-base-';
/** Raise it when this file packs other things, or to other places, from the same inputs. */
const LAYOUT = 1;

/** The archive's path; packs it when it is missing or an input changed, which takes about 2 s. */
export async function kernelVmBase(): Promise<string> {
  const node = await realpath(process.execPath);
  const files = new Map([
    ['/bin/busybox', BUSYBOX],
    ['/usr/bin/node', node],
    ...IPROUTE2.map((path) => [path, path] as const),
    ...(await librariesOf([node, ...IPROUTE2, `${ROOT}${ADDON}`])).map(
      (path) => [path, path] as const,
    ),
  ]);
  const lock = await readFile(`${ROOT}package-lock.json`, 'utf8');
  const path = `${cacheDirectory()}/${PREFIX}${await digestOf([...files.values()], lock)}`;
  if (await exists(path)) return path;

  const archive = new CpioArchive();
  for (const directory of ['/dev', '/proc', '/sys', '/tmp']) archive.addDirectory(directory);
  for (const [inside, outside] of files) archive.addFile(inside, { path: outside });
  for (const name of productionPackages(lock)) await addLoaded(archive, name);
  await mkdir(cacheDirectory(), { recursive: true });
  await removeOld();
  // Into its place in one step: another run may pack the same at this moment.
  const unfinished = `${path}.${process.pid}`;
  try {
    await archive.appendTo(unfinished);
    await rename(unfinished, path);
  } finally {
    await rm(unfinished, { force: true });
  }
  return path;
}

/** Adds what Node can load of a directory of the checkout, at the same place in the VM. */
export async function addLoaded(archive: CpioArchive, directory: string): Promise<void> {
  for (const name of await readdir(`${ROOT}${directory}`, { recursive: true })) {
    const path = `${directory}/${name}`;
    if (LOADED_BY_NODE.test(path)) {
      archive.addFile(`${VM_PRODUCT}/${path}`, { path: `${ROOT}${path}` });
    }
  }
}

async function librariesOf(programs: readonly string[]): Promise<string[]> {
  const { stdout } = await runCommand('ldd', programs);
  // "libz.so.1 => /lib/… (0x…)" and "/lib64/ld-linux-x86-64.so.2 (0x…)"; a program's own line ends in ":".
  return [...new Set([...stdout.matchAll(/(\/\S+) \(0x/g)].map(([, path = '']) => path))].sort();
}

/** Folders under the checkout's root, as npm's lockfile names them. */
function productionPackages(lockText: string): string[] {
  const lock = JSON.parse(lockText) as { packages: Record<string, { dev?: boolean }> };
  return Object.entries(lock.packages)
    .filter(([name, { dev }]) => name !== '' && dev !== true)
    .map(([name]) => name);
}

async function digestOf(paths: readonly string[], lock: string): Promise<string> {
  const hash = createHash('sha256').update(`${LAYOUT} ${lock}`);
  for (const path of paths) {
    const { size, mtimeMs } = await stat(path);
    hash.update(`${path} ${size} ${mtimeMs}\n`);
  }
  return hash.digest('hex').slice(0, 12);
}

async function removeOld(): Promise<void> {
  const oldestMs = Date.now() - KERNEL_VM_BASE_AGE_DAYS_MAX * 86_400_000;
  for (const name of await readdir(cacheDirectory())) {
    const path = `${cacheDirectory()}/${name}`;
    if (name.startsWith(PREFIX) && (await stat(path)).mtimeMs < oldestMs) await rm(path);
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
