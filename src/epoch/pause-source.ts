/** The port through which the epoch loop stops a guest: the pause gate, or stop / save / cont. */
import type { NativeCapture } from '../native.js';

export interface PauseResult {
  capture: NativeCapture;
  deviceState: Buffer;
}

export interface PauseSource {
  readonly mode: 'gate' | 'stopped';
  /**
   * Pauses the guest, calls `capture` while it stands still (with the gate's reading end in gate
   * mode) and resolves when it runs again. Guest running on success and on failure.
   */
  pauseAndCapture(
    capture: (how: { gateFd?: number }) => Promise<NativeCapture>,
  ): Promise<PauseResult>;
  close(): void | Promise<void>;
}
