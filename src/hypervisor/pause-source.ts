/**
 * How an epoch stops the guest, as one interface: through the gate, or with stop / save / cont.
 *
 * Both promise the same: `capture` runs while the guest stands still, the device state is of
 * that same moment, and whatever throws, a guest that ran before runs afterwards (or
 * HYP_GUEST_NOT_RESUMED says that it does not).
 */
import type { NativeCapture, NativeTrigger } from '../native.js';

export type PauseMode = 'gate' | 'stopped';

/** Whose monitor a pause's command goes through. */
export type PauseThrough = 'libvirt' | 'own-monitor';

/** With `gateFd`: capture through the gate. Without: the guest is stopped already (`captureStopped`). */
export interface PauseHow {
  gateFd?: number;
  /** The sign at which QEMU comes to the gate, when it is given later. */
  begin?: NativeTrigger;
}

export type Capturing = (how: PauseHow) => Promise<NativeCapture>;

export interface PausedCapture {
  capture: NativeCapture;
  deviceState: Buffer;
  /**
   * The guest runs again already; this is QEMU's answer to the command, some time later. Rejects with
   * HYP_GATE_FAILED, HYP_MONITOR_TIMED_OUT; a device state that is whole to its end mark counts all the same.
   */
  settled: Promise<void>;
}

export interface ReadyPause {
  trigger: NativeTrigger;
  /** Stops the guest before it could have answered what it was just asked. */
  isShort: boolean;
  /** The capture has ended, well or not, whoever began it. */
  over: Promise<void>;
}

export interface PauseSource {
  readonly mode: PauseMode;
  /**
   * One pause. `capture` must end with status `complete`; it may ship in between (`partial`).
   * One call at a time; the next may come before the last has settled, and waits for it.
   * @throws HYP_GATE_FAILED, HYP_GUEST_NOT_RESUMED, HYP_MONITOR_TIMED_OUT, and what `capture` throws
   */
  pauseAndCapture(capture: Capturing): Promise<PausedCapture>;
  /**
   * Gets the next pause ready, and the capture that is to be in it: whoever holds the trigger may begin both, from
   * any thread. `pauseAndCapture` must then follow at once with the same capture, or `forgoPause`. Undefined where
   * it cannot be prepared.
   */
  prepare?(capture: Capturing): ReadyPause | undefined;
  /** CLOCK_MONOTONIC ms at which the prepared pause was begun; undefined when it was not. */
  begunAtMs?(): number | undefined;
  /** There will be no next pause. A guest that is in it by now goes on when this resolves. */
  forgoPause?(): Promise<void>;
  close(): Promise<void>;
}
