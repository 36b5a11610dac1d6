/**
 * Raw QEMU processes for the memory tests: a guest that writes all over its RAM without an
 * operating system, and a standby that waits with memfd RAM. No libvirt.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';

export const GUEST_RAM_BYTES = 256 << 20;
const START_TIMEOUT_MS = 60_000;

/**
 * A disk whose boot sector (i386) needs no operating system; SeaBIOS wants more than one sector. It goes to protected mode and for ever writes a word to a random page
 * out of 128 MiB from 16 MiB on, counts at 5 MiB, and waits ten thousand turns:
 *
 *     cli; lgdt; set CR0.PE; far jump; mov $1,%eax
 *   1: imul $1664525,%eax,%eax; add $1013904223,%eax
 *     mov %eax,%edx; shr $4,%edx; and $0x07fff000,%edx; add $0x01000000,%edx
 *     mov %eax,(%edx); incl 0x00500000; mov $10000,%ecx
 *   2: loop 2b; jmp 1b
 */
const BOOT_DISK = Buffer.alloc(1 << 20);
Buffer.from(
  'fa31c08ed8660f0116707c0f20c00c010f22c066ea1b7c0000080066b810008ed8b80100000069c00d66190005' +
    '5ff36e3c89c2c1ea0481e200f0ff0781c2000000018902ff0500005000b910270000e2feebd38d7426009000' +
    '00000000000000ffff0000009acf00ffff00000092cf001700587c0000',
  'hex',
).copy(BOOT_DISK);
BOOT_DISK.writeUInt16LE(0xaa55, 510);
const COUNTER_ADDRESS = 0x500000;

interface QmpReply {
  return?: unknown;
  error?: { desc: string };
}

/** One QMP connection; replies come in the order of the commands, events are left aside. */
class Qmp {
  readonly #socket: Socket;
  readonly #waiting: ((reply: QmpReply) => void)[] = [];

  private constructor(socket: Socket) {
    this.#socket = socket;
    createInterface({ input: socket }).on('line', (line) => {
      const message = JSON.parse(line) as QmpReply;
      if ('return' in message || 'error' in message) this.#waiting.shift()?.(message);
    });
  }

  static async open(path: string): Promise<Qmp> {
    const deadline = Date.now() + START_TIMEOUT_MS;
    for (;;) {
      const socket = connect(path);
      try {
        await once(socket, 'connect');
        const qmp = new Qmp(socket);
        await qmp.run('qmp_capabilities');
        return qmp;
      } catch (error) {
        // QEMU makes its socket some time after its start; nothing announces it.
        if (Date.now() > deadline) throw error;
        await delay(20);
      }
    }
  }

  async run(execute: string, args: object = {}): Promise<unknown> {
    const reply = new Promise<QmpReply>((resolve) => this.#waiting.push(resolve));
    this.#socket.write(JSON.stringify({ execute, arguments: args }));
    const { error, return: value } = await reply;
    if (error) throw new Error(error.desc);
    return value;
  }

  close(): void {
    this.#socket.destroy();
  }
}

export class RawGuest {
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #qmp: Qmp;
  readonly #directory: string;

  private constructor(child: ChildProcess, qmp: Qmp, directory: string) {
    this.pid = child.pid ?? -1;
    this.#child = child;
    this.#qmp = qmp;
    this.#directory = directory;
  }

  static async start(role: 'primary' | 'standby'): Promise<RawGuest> {
    const directory = mkdtempSync(join(tmpdir(), 'understudy-memory-'));
    const disk = join(directory, 'disk.raw');
    const qmp = join(directory, 'qmp');
    writeFileSync(disk, BOOT_DISK);
    const standbyOptions = [
      ...['-object', `memory-backend-memfd,id=ram,size=${GUEST_RAM_BYTES},share=on`],
      ...['-incoming', 'defer', '-S'],
    ];
    const child = spawn(
      'qemu-system-x86_64',
      [
        ...['-M', role === 'standby' ? 'q35,memory-backend=ram' : 'q35'],
        ...['-m', '256', '-accel', 'tcg', '-display', 'none', '-nodefaults'],
        ...['-drive', `file=${disk},format=raw`, '-qmp', `unix:${qmp},server=on,wait=off`],
        ...(role === 'standby' ? standbyOptions : []),
      ],
      { stdio: ['ignore', 'inherit', 'inherit'] },
    );
    return new RawGuest(child, await Qmp.open(qmp), directory);
  }

  qmp(execute: string, args: object = {}): Promise<unknown> {
    return this.#qmp.run(execute, args);
  }

  async hmp(command: string): Promise<string> {
    return String(await this.qmp('human-monitor-command', { 'command-line': command }));
  }

  /** Pause, save and resume in one command; blocks in `path` until it is drained. */
  saveDeviceState(path: string): Promise<unknown> {
    return this.qmp('xen-save-devices-state', { filename: path, live: false });
  }

  /** Where guest-physical address 0 lies inside QEMU. */
  async ramAddress(): Promise<bigint> {
    const address = (await this.hmp('gpa2hva 0')).match(/0x[0-9a-f]+/g)?.at(-1);
    if (address === undefined) throw new Error('gpa2hva gave no address');
    return BigInt(address);
  }

  /** How many pages the boot sector has written so far. */
  async counter(): Promise<number> {
    return Number((await this.hmp(`xp /1wx ${COUNTER_ADDRESS}`)).match(/0x[0-9a-f]+/)?.[0]);
  }

  /** Waits until the guest has written `pages` more than `from`. */
  async waitForProgress(from: number, pages: number): Promise<void> {
    const deadline = Date.now() + START_TIMEOUT_MS;
    while ((await this.counter()) < from + pages) {
      if (Date.now() > deadline) throw new Error('the guest does not run');
    }
  }

  memfdPath(): string {
    const fd = readdirSync(`/proc/${this.pid}/fd`).find((name) =>
      readlinkSync(`/proc/${this.pid}/fd/${name}`).startsWith('/memfd:memory-backend-memfd'),
    );
    if (fd === undefined) throw new Error('the standby has no memfd');
    return `/proc/${this.pid}/fd/${fd}`;
  }

  async end(): Promise<void> {
    this.#qmp.close();
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const exited = once(this.#child, 'exit');
      this.#child.kill('SIGKILL');
      await exited;
    }
    rmSync(this.#directory, { recursive: true });
  }
}
