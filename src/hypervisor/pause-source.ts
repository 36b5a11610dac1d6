/**
 * How an epoch stops the guest, as one interface: through the gate, or with stop / save / cont.
 *
 * Both promise the same: `capture` runs while the guest stands still, the device state is of
 * that same moment, and whatever throws, a guest that ran before runs afterwards (or
 * HYP_GUEST_NOT_RESUMED says that it does not).
 */
import type { NativeCapture } from '../native.js';

export type PauseMode = 'gate' | 'stopped';

/** With `gateFd`: capture through the gate. Without: the guest is stopped already (`captureStopped`). */
export interface PauseHow {
  gateFd?: number;
}

export interface PausedCapture {
  capture: NativeCapture;
  deviceState: Buffer;
  /**
   * The guest runs again already; this is QEMU's answer to the command, some time later. Rejects with
   * HYP_GATE_FAILED, HYP_MONITOR_TIMED_OUT; a device state that is whole to its end mark counts all the same.
   */
  settled: Promise<void>;
}

export interface PauseSource {
  readonly mode: PauseMode;
  /**
   * One pause. `capture` must end with status `complete`; it may ship in between (`partial`).
   * One call at a time; the next may come before the last has settled, and waits for it.
   * @throws HYP_GATE_FAILED, HYP_GUEST_NOT_RESUMED, HYP_MONITOR_TIMED_OUT, and what `capture` throws
   */
  pauseAndCapture(capture: (how: PauseHow) => Promise<NativeCapture>): Promise<PausedCapture>;
  close(): Promise<void>;
}
