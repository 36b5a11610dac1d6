/** One pause, whatever its source: closes the epoch, captures, ships with the guest paused when staging is too small. */

import type { PausedCapture as PauseResult, PauseSource } from '../hypervisor/pause-source.js';
import type { NativeAhead, NativeBoundary, NativeCapture, NativeGuestMemory } from '../native.js';
import { DEVICE_STATE_BYTES_MAX } from '../wire/limits.js';
import { PAUSE_DRAIN_TIMEOUT_MS, PAUSE_OPEN_TIMEOUT_MS } from './limits.js';

export interface CaptureRequest {
  epoch: number;
  copy: 'staged' | 'live';
  boundaries: readonly NativeBoundary[];
  /** Gets the first chunk while the guest still stands, if the pause goes through a gate and staging is large enough. */
  ahead?: NativeAhead | undefined;
  /** Called, guest paused, each time staging is full; must have encoded everything when it resolves. */
  onStagingFull: () => Promise<void>;
}

export interface PausedCapture extends PauseResult {
  /** Staging was too small at least once. */
  shippedPaused: boolean;
}

export async function captureEpoch(
  memory: NativeGuestMemory,
  pause: PauseSource,
  request: CaptureRequest,
): Promise<PausedCapture> {
  let shippedPaused = false;
  const { epoch, copy, boundaries, ahead } = request;
  const result = await pause.pauseAndCapture(async ({ gateFd }) => {
    const first =
      gateFd === undefined
        ? await memory.captureStopped({ epoch, copy, boundaries })
        : await memory.capture({
            gateFd,
            epoch,
            copy,
            boundaries,
            openTimeoutMs: PAUSE_OPEN_TIMEOUT_MS,
            drainTimeoutMs: PAUSE_DRAIN_TIMEOUT_MS,
            deviceStateBytesMax: DEVICE_STATE_BYTES_MAX,
            ...(ahead === undefined ? {} : { ahead }),
          });
    const parts = [first];
    while (parts.at(-1)?.status === 'partial') {
      shippedPaused = true;
      await request.onStagingFull();
      parts.push(await memory.captureRest());
    }
    return joined(parts);
  });
  return { ...result, shippedPaused };
}

/** What several partial captures of one pause measured: one scan, many copies. */
function joined(parts: readonly NativeCapture[]): NativeCapture {
  const first = parts[0] as NativeCapture;
  const last = parts.at(-1) as NativeCapture;
  const sum = (value: (part: NativeCapture) => number): number =>
    parts.reduce((total, part) => total + value(part), 0);
  return {
    ...first,
    status: last.status,
    stagedBytes: sum((part) => part.stagedBytes),
    copyUs: sum((part) => part.copyUs),
    drainUs: last.drainUs,
    pauseUs: last.pauseUs,
    deviceState: last.deviceState,
  };
}
