/**
 * The pause in separate steps: stop, save, capture, cont. Slower by some round trips, but it
 * needs no path that QEMU may open, and pages that saving itself dirties are captured.
 *
 * QEMU writes into a nameless file in memory that it was given by `add-fd`.
 */
import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises';
import type { ProtectedDomain } from './domain.js';
import { hypervisorError } from './errors.js';
import { saveDeviceState } from './gate.js';
import { DEVICE_STATE_BYTES_MAX, PAUSE_TIMEOUT_MS } from './limits.js';
import { readReply } from './monitor.js';
import type { Capturing, PausedCapture, PauseSource } from './pause-source.js';
import { addFdReply } from './qmp-replies.js';
import { letRun, runState } from './run-state.js';

/** tmpfs: saving must not wait for a disk while the guest stands still. */
const MEMORY_DIRECTORY = '/dev/shm';

export class StoppedPause implements PauseSource {
  readonly mode = 'stopped';
  readonly #domain: ProtectedDomain;
  readonly #file: StateFile;
  readonly #fdset: number;

  private constructor(domain: ProtectedDomain, file: StateFile, fdset: number) {
    this.#domain = domain;
    this.#file = file;
    this.#fdset = fdset;
  }

  /** Gives QEMU the file. @throws what monitor and file calls throw */
  static async open(domain: ProtectedDomain): Promise<StoppedPause> {
    const file = await StateFile.make();
    try {
      const reply = await domain.qmpWithFiles('add-fd', {}, [file.writeFd]);
      const names = { operation: 'add-fd', domain: domain.name };
      return new StoppedPause(domain, file, readReply(addFdReply, reply, names)['fdset-id']);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async pauseAndCapture(capture: Capturing): Promise<PausedCapture> {
    const ranBefore = (await runState(this.#domain)) === 'running';
    try {
      await this.#domain.qmp('stop');
      return await this.saveStopped(capture);
    } finally {
      if (ranBefore) await letRun(this.#domain);
    }
  }

  /** Save and capture of a guest that stands still already and is left so. */
  async saveStopped(capture: Capturing): Promise<PausedCapture> {
    await this.#file.empty();
    await saveDeviceState(this.#domain, `/dev/fdset/${this.#fdset}`, PAUSE_TIMEOUT_MS);
    const deviceState = await this.#file.content(this.#domain);
    return { capture: await capture({}), deviceState, settled: Promise.resolve() };
  }

  /** Takes the file away from QEMU again. */
  async close(): Promise<void> {
    await this.#file.close();
    await this.#domain.qmp('remove-fd', { 'fdset-id': this.#fdset });
  }
}

/**
 * A nameless file with one descriptor that QEMU writes through and one that we read through.
 *
 * QEMU goes on where its last write ended (the offset is shared, and it clears O_APPEND when it
 * duplicates the descriptor: qemu_dup_flags in util/osdep.c). So a save lies between the end of
 * the one before and the end of the file; emptying the file frees what was before.
 */
class StateFile {
  readonly #writer: FileHandle;
  readonly #reader: FileHandle;
  #start = 0;

  private constructor(writer: FileHandle, reader: FileHandle) {
    this.#writer = writer;
    this.#reader = reader;
  }

  static async make(): Promise<StateFile> {
    const directory = await mkdtemp(`${MEMORY_DIRECTORY}/understudy-`);
    try {
      const path = `${directory}/device-state`;
      const writer = await open(path, 'wx', 0o600);
      return new StateFile(writer, await open(path, 'r'));
    } finally {
      await rm(directory, { recursive: true });
    }
  }

  get writeFd(): number {
    return this.#writer.fd;
  }

  /** Makes ready for the next save, also after one that failed half-way. */
  async empty(): Promise<void> {
    const { size } = await this.#reader.stat();
    this.#start = Math.max(this.#start, size);
    await this.#writer.truncate(0);
  }

  /** What the last save wrote. @throws HYP_DEVICE_STATE_BAD when nothing, or more than allowed */
  async content(domain: ProtectedDomain): Promise<Buffer> {
    const bytes = (await this.#reader.stat()).size - this.#start;
    if (bytes <= 0 || bytes > DEVICE_STATE_BYTES_MAX) {
      throw hypervisorError('HYP_DEVICE_STATE_BAD', `device state of ${bytes} bytes`, {
        operation: 'pause',
        domain: domain.name,
      });
    }
    const content = Buffer.alloc(bytes);
    const { bytesRead } = await this.#reader.read(content, 0, bytes, this.#start);
    return content.subarray(0, bytesRead);
  }

  async close(): Promise<void> {
    await this.#writer.close();
    await this.#reader.close();
  }
}
