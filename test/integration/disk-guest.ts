/**
 * A guest of a laboratory host that has disks and no operating system: QEMU's own `qemu-io` reads and
 * writes through its virtio devices, below the guest and above everything that mirrors.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { expect } from 'vitest';
import type { ProtectedDomain } from '../../src/hypervisor/domain.js';
import { runCommand } from '../../src/lab/command.js';
import type { Host } from '../../src/lab/place.js';

export interface GuestDisk {
  name: string;
  path: string;
  format: 'raw' | 'qcow2';
  /** Attributes of <driver>. */
  driver?: string;
  /** Children of <disk>. */
  inside?: string;
}

export async function createDisk(disk: GuestDisk, size: string): Promise<GuestDisk> {
  await runCommand('qemu-img', ['create', '-q', '-f', disk.format, disk.path, size]);
  return disk;
}

export async function startDiskGuest(
  host: Host,
  name: string,
  disks: readonly GuestDisk[],
): Promise<void> {
  const xmlPath = `${host.runDir}/run/${name}.xml`;
  await writeFile(xmlPath, guestXml(name, disks));
  await host.virsh('create', xmlPath);
}

function guestXml(name: string, disks: readonly GuestDisk[]): string {
  const elements = disks.map(
    ({ path, format, driver = '', inside = '', name: target }) =>
      `<disk type='file' device='disk'><driver name='qemu' type='${format}' ${driver}/>
      <source file='${path}'/><target dev='${target}' bus='virtio'/>
      <serial>serial-${target}</serial>${inside}</disk>`,
  );
  return `<domain type='qemu'><name>${name}</name>
  <memory unit='MiB'>64</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <cpu mode='custom' match='exact'><model fallback='forbid'>qemu64</model></cpu>
  <devices><controller type='usb' model='none'/><memballoon model='none'/>
  ${elements.join('\n')}</devices></domain>`;
}

/** `number`: which disk, in the order of the XML. Fails when qemu-io says anything of a failure. */
export async function diskIo(
  domain: ProtectedDomain,
  number: number,
  command: string,
): Promise<string> {
  const device = `/machine/peripheral/virtio-disk${number}/virtio-backend`;
  const said = await domain.hmp(`qemu-io -d ${device} "${command}"`);
  expect(said).not.toMatch(/fail|error|denied|verif/i);
  return said;
}

/** The disks' targets as files, served over NBD by nbdkit, export by name. */
export class TargetServer {
  readonly socketPath: string;
  readonly #process: ChildProcess;
  readonly #directory: string;

  private constructor(process: ChildProcess, socketPath: string, directory: string) {
    this.#process = process;
    this.socketPath = socketPath;
    this.#directory = directory;
  }

  static async start(
    directory: string,
    targets: readonly { name: string; bytes: number }[],
    filters: readonly string[] = [],
    settings: readonly string[] = [],
  ): Promise<TargetServer> {
    await rm(directory, { recursive: true, force: true });
    await mkdir(`${directory}/exports`, { recursive: true });
    for (const { name, bytes } of targets) {
      await runCommand('truncate', ['-s', String(bytes), `${directory}/exports/${name}`]);
    }
    const socketPath = `${directory}/target.sock`;
    const process = spawn(
      'nbdkit',
      [
        ...['-f', '-U', socketPath, ...filters.map((filter) => `--filter=${filter}`)],
        ...['file', `dir=${directory}/exports`, ...settings],
      ],
      { stdio: 'ignore' },
    );
    await expect.poll(() => existsSync(socketPath), { timeout: 10_000 }).toBe(true);
    return new TargetServer(process, socketPath, directory);
  }

  path(name: string): string {
    return `${this.#directory}/exports/${name}`;
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  async kill(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await ended;
  }
}

/** Whether a disk in use and a raw file hold the same content. */
export async function sameContent(disk: GuestDisk, rawPath: string): Promise<void> {
  await runCommand('qemu-img', [
    'compare',
    '-U',
    '-f',
    disk.format,
    '-F',
    'raw',
    disk.path,
    rawPath,
  ]);
}
