/**
 * A throw-away virtual machine that boots the laboratory's kernel and runs one Node script in it,
 * for what this host's own kernel cannot show (another version, other modules).
 *
 * The VM has no network, no disk and no way back but its serial console. In it lie Node, busybox,
 * iproute2 and this checkout's `dist/` with addon and dependencies, under VM_PRODUCT. It runs
 * emulated, so that it works wherever QEMU does: about 6 s a run.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import type { Readable } from 'node:stream';
import { messageOf } from '../errors.js';
import { labError } from './errors.js';
import { guestImage } from './guest-image.js';
import { KernelModules } from './kernel-modules.js';
import { kernelVmImage } from './kernel-vm-image.js';
import {
  CONSOLE_BYTES_MAX,
  KERNEL_VM_MEMORY_MIB_DEFAULT,
  KERNEL_VM_TIMEOUT_MS_DEFAULT,
  LOG_TAIL_BYTES_MAX,
} from './limits.js';
import { EMULATOR } from './platform.js';

export { VM_PRODUCT } from './kernel-vm-base.js';

type Qemu = ChildProcessByStdio<null, Readable, Readable>;

export interface KernelVmOptions {
  /** An .mjs file, run alone: what it imports lies in the VM. */
  script: string;
  /** Kernel modules that it needs; what these depend on is loaded too. */
  modules: readonly string[];
  /** More files for it: place in the VM (under VM_PRODUCT, say) to place here. */
  files?: ReadonlyMap<string, string>;
  memoryMib?: number;
  timeoutMs?: number;
}

export interface KernelVmResult {
  /** The script's; 128 + N when signal N ended it. */
  exitCode: number;
  /** What the script wrote to stdout and stderr. */
  output: string;
}

/** `uname -r` of the kernel that `runInKernelVm` boots. @throws LAB_COMMAND_FAILED */
export async function kernelVmRelease(): Promise<string> {
  await guestImage();
  return (await KernelModules.open()).release;
}

/**
 * Boots, runs, and leaves nothing behind on either ending.
 * @throws LAB_KERNEL_VM_FAILED when the VM did not run the script to its end; a script that fails
 * is a result
 */
export async function runInKernelVm(options: KernelVmOptions): Promise<KernelVmResult> {
  const { script, timeoutMs = KERNEL_VM_TIMEOUT_MS_DEFAULT } = options;
  const { kernel } = await guestImage();
  const modules = await (await KernelModules.open()).loadOrder(options.modules);
  const directory = await mkdtemp(`${tmpdir()}/understudy-kernel-vm-`);
  try {
    const files = options.files ?? new Map<string, string>();
    const initrd = await kernelVmImage({ script, modules, files, directory });
    const token = randomBytes(8).toString('hex');
    const limitS = Math.ceil(timeoutMs / 1000);
    const memoryMib = options.memoryMib ?? KERNEL_VM_MEMORY_MIB_DEFAULT;
    const qemu = spawn(EMULATOR, qemuArguments({ kernel, initrd, memoryMib, token, limitS }), {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return await followConsole(qemu, token, timeoutMs);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/**
 * The script's part of the console (one character per byte) and its exit code; undefined until
 * it has ended. Pure.
 */
export function readConsole(console: string, token: string): KernelVmResult | undefined {
  const end = console.lastIndexOf(`vm-${token} exit `);
  const exitCode = end < 0 ? null : /exit (\d+)\r?\n/.exec(console.slice(end));
  const begin = `vm-${token} begin\n`;
  const start = console.indexOf(begin);
  if (exitCode === null || start < 0) return undefined;
  const output = Buffer.from(console.slice(start + begin.length, end), 'latin1').toString();
  return { exitCode: Number(exitCode[1]), output };
}

/** Resolves when the script has ended and QEMU is gone; a limit that is reached ends both. */
async function followConsole(
  qemu: Qemu,
  token: string,
  timeoutMs: number,
): Promise<KernelVmResult> {
  let text = '';
  let result: KernelVmResult | undefined;
  let why = 'the VM ended before the script';
  const kill = (reason: string): void => {
    why = reason;
    qemu.kill('SIGKILL');
  };
  const keep = (chunk: Buffer): void => {
    // One character per byte, so that one that is cut in two is not lost.
    text += chunk.toString('latin1');
    result ??= readConsole(text, token);
    // Nothing in the VM is worth an orderly end.
    if (result !== undefined) qemu.kill('SIGKILL');
    else if (text.length > CONSOLE_BYTES_MAX) kill(`over ${CONSOLE_BYTES_MAX} bytes of console`);
  };
  qemu.stdout.on('data', keep);
  qemu.stderr.on('data', keep);
  const timer = setTimeout(() => kill(`no end within ${timeoutMs} ms`), timeoutMs);
  try {
    await once(qemu, 'close');
  } catch (error) {
    throw labError('LAB_KERNEL_VM_FAILED', `${EMULATOR}: ${messageOf(error)}`, { cause: error });
  } finally {
    clearTimeout(timer);
  }
  if (result !== undefined) return result;
  const tail = text.slice(-LOG_TAIL_BYTES_MAX);
  throw labError('LAB_KERNEL_VM_FAILED', `${why}; the console ends with:\n${tail}`);
}

interface Machine {
  kernel: string;
  initrd: string;
  memoryMib: number;
  token: string;
  limitS: number;
}

function qemuArguments({ kernel, initrd, memoryMib, token, limitS }: Machine): string[] {
  const words = [
    ...['console=ttyS0', 'quiet', 'mitigations=off', 'tsc=unstable', 'cryptomgr.notests'],
    // By triple fault: the machine has neither of the parts that the kernel tries before, for minutes.
    ...['panic=-1', 'reboot=t'],
    ...[`vm.token=${token}`, `vm.limit_s=${limitS}`],
  ];
  return [
    // The smallest machine with a serial port; what it leaves out is what takes time to probe.
    ...['-machine', 'microvm,isa-serial=on,rtc=on,pic=on,pit=on,acpi=off', '-nodefaults'],
    // With erms or fsrm the kernel copies by "rep movsb", which is emulated byte by byte.
    ...['-accel', 'tcg', '-cpu', 'max,erms=off,fsrm=off', '-smp', '1', '-m', String(memoryMib)],
    ...['-no-user-config', '-no-reboot', '-display', 'none', '-serial', 'stdio'],
    ...['-kernel', kernel, '-initrd', initrd, '-append', words.join(' ')],
  ];
}
