/**
 * A key for everything whose answer depends on this machine's kernel, processor and QEMU, so
 * that what was learnt by trying is tried again after an upgrade.
 */
import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { release } from 'node:os';

export const EMULATOR = '/usr/bin/qemu-system-x86_64';
const LIBVIRTD = '/usr/sbin/libvirtd';

export async function platformKey(): Promise<string> {
  const [cpuinfo, ...programs] = await Promise.all([
    readFile('/proc/cpuinfo', 'utf8'),
    ...[EMULATOR, LIBVIRTD].map((path) => stat(path)),
  ]);
  const processor = /^model name.*$/m.exec(cpuinfo)?.[0] ?? 'unknown';
  const parts = [release(), processor, ...programs.map((file) => `${file.size} ${file.mtimeMs}`)];
  return createHash('sha256').update(parts.join('\n')).digest('hex').slice(0, 12);
}
