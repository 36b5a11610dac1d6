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
}

export interface PauseSource {
  readonly mode: PauseMode;
  /**
   * One pause. `capture` must end with status `complete`; it may ship in between (`partial`).
   * One call at a time.
   * @throws HYP_GATE_FAILED, HYP_GUEST_NOT_RESUMED, HYP_MONITOR_TIMED_OUT, and what `capture` throws
   */
  pauseAndCapture(capture: (how: PauseHow) => Promise<NativeCapture>): Promise<PausedCapture>;
  close(): Promise<void>;
}
