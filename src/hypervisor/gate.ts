/**
 * The pause gate: one monitor command that is pause, save and resume.
 *
 * QEMU stops the guest, then opens a pipe of ours, which holds less than its device state, and writes into it. The
 * opening means "the guest stands still"; QEMU resumes it when the last byte is
 * drained. Closing the gate at any time, also by dying, makes QEMU's write fail and the guest
 * go on. The guest's fate therefore never depends on our staying alive.
 */
import { type NativeGate, native } from '../native.js';
import type { ProtectedDomain } from './domain.js';
import { hypervisorError } from './errors.js';
import { type MonitorPath, type PreparedQmp, UNBOUNDED_MS } from './monitor.js';

export interface GateOptions {
  /** Real user id of the QEMU process. */
  qemuUid: number;
  /** Where a FIFO is made when QEMU is not root; that user must be able to enter its directory. */
  fifoPath: string;
  /** A shorter way than libvirt's, when there is one at the moment. */
  shortcut?: () => MonitorPath | undefined;
  /** The reading end of a gate that is in use from now on; -1 when it is about to be closed. */
  onGate?: (readFd: number) => void;
}

/** A pause that has not begun yet; fire it or cancel it. */
export interface PreparedPause extends Omit<PreparedQmp, 'returned'> {
  /** Takes the shorter way. */
  readonly isShort: boolean;
  /** As `PauseGate.pause`. */
  readonly saved: Promise<void>;
}

export class PauseGate {
  readonly #domain: ProtectedDomain;
  readonly #gate: NativeGate;
  readonly #shortcut: () => MonitorPath | undefined;
  readonly #onGate: (readFd: number) => void;
  #closed = false;

  /** @throws an error of mkfifo(3) or pipe(2), with `code` */
  constructor(domain: ProtectedDomain, options: GateOptions) {
    this.#domain = domain;
    this.#gate = native.openGate(
      options.qemuUid === 0 ? {} : { fifoPath: options.fifoPath, ownerUid: options.qemuUid },
    );
    this.#shortcut = options.shortcut ?? (() => undefined);
    this.#onGate = options.onGate ?? (() => undefined);
    this.#onGate(this.#gate.readFd);
  }

  /** Give this to the capture. */
  get readFd(): number {
    return this.#gate.readFd;
  }

  /**
   * Sends the command; resolves when QEMU has written everything and the guest runs again
   * (or stands, when it stood before). Drain `readFd` meanwhile. Not bounded in time, as the
   * guest may be held while an epoch is shipped: the drain has its watchdog, and `close()` ends it.
   * @throws HYP_GATE_FAILED when QEMU could not open the gate or write all of it; the guest runs again
   */
  async pause(): Promise<void> {
    const path = this.#shortcut() ?? this.#domain;
    const saving = path.qmp(SAVE_COMMAND, saveArguments(this.#gate.path), UNBOUNDED_MS);
    await saveFailureTyped(this.#domain, saving);
  }

  /** The same, when its trigger fires or `fire` is called. */
  prepare(): PreparedPause {
    const shortcut = this.#shortcut();
    const path = shortcut ?? this.#domain;
    const prepared = path.prepareQmp(SAVE_COMMAND, saveArguments(this.#gate.path));
    const saved = saveFailureTyped(this.#domain, prepared.returned);
    // Met by whoever goes through with the pause.
    saved.catch(() => undefined);
    return { ...prepared, saved, isShort: shortcut !== undefined };
  }

  /** A QEMU that is blocked in the gate fails its command and resumes the guest; a capture that waits there fails. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#onGate(-1);
    this.#gate.close();
  }
}

const SAVE_COMMAND = 'xen-save-devices-state';

/** `live: false` always: the default would inactivate the disks of a stopped guest. */
const saveArguments = (filename: string) => ({ filename, live: false });

/** @throws HYP_GATE_FAILED when QEMU refuses, HYP_MONITOR_TIMED_OUT */
export async function saveDeviceState(
  domain: ProtectedDomain,
  filename: string,
  timeoutMs: number,
): Promise<void> {
  await saveFailureTyped(domain, domain.qmp(SAVE_COMMAND, saveArguments(filename), timeoutMs));
}

async function saveFailureTyped(domain: ProtectedDomain, saving: Promise<unknown>): Promise<void> {
  try {
    await saving;
  } catch (error) {
    if (!isQmpError(error)) throw error;
    throw hypervisorError('HYP_GATE_FAILED', `${domain.name}: ${error.message}`, {
      operation: 'pause',
      domain: domain.name,
      cause: error,
    });
  }
}

function isQmpError(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && error.code === 'HYP_QMP_FAILED';
}
