/** One pause, whatever its source: closes the epoch, captures, ships with the guest paused when staging is too small. */

import type {
  PauseHow,
  PausedCapture as PauseResult,
  PauseSource,
  ReadyPause,
} from '../hypervisor/pause-source.js';
import type {
  NativeAhead,
  NativeBoundary,
  NativeCapture,
  NativeGuestMemory,
  NativeOutlet,
} from '../native.js';
import { DEVICE_STATE_BYTES_MAX } from '../wire/limits.js';
import { PAUSE_DRAIN_TIMEOUT_MS, PAUSE_OPEN_TIMEOUT_MS } from './limits.js';

export interface CaptureRequest {
  epoch: number;
  copy: 'staged' | 'live';
  boundaries: readonly NativeBoundary[];
  /** Gets the first chunk while the guest still stands, if the pause goes through a gate and staging is large enough. */
  ahead?: NativeAhead | undefined;
  /** Takes an epoch that is a single chunk. */
  outlet?: { lane: NativeOutlet; addresses: string } | undefined;
  /** Called, guest paused, each time staging is full; must have encoded everything when it resolves. */
  onStagingFull: () => Promise<void>;
}

export interface PausedCapture extends PauseResult {
  /** Staging was too small at least once. */
  shippedPaused: boolean;
}

export function captureEpoch(
  memory: NativeGuestMemory,
  pause: PauseSource,
  request: CaptureRequest,
): Promise<PausedCapture> {
  return new EpochCapture(memory, pause, request).take();
}

/** One epoch's capture, which may be waiting for its pause already. */
export class EpochCapture {
  #shippedPaused = false;

  constructor(
    private readonly memory: NativeGuestMemory,
    private readonly pause: PauseSource,
    private readonly request: CaptureRequest,
  ) {}

  /** The pause may begin by its trigger from now on; `take` goes through with it. Once, before `take`. */
  prepare(): ReadyPause | undefined {
    return this.pause.prepare?.((how) => this.#capture(how));
  }

  /** @throws as PauseSource.pauseAndCapture */
  async take(): Promise<PausedCapture> {
    const result = await this.pause.pauseAndCapture((how) => this.#capture(how));
    return { ...result, shippedPaused: this.#shippedPaused };
  }

  async #capture({ gateFd, begin }: PauseHow): Promise<NativeCapture> {
    const { epoch, copy, boundaries, ahead, outlet, onStagingFull } = this.request;
    const first =
      gateFd === undefined
        ? await this.memory.captureStopped({ epoch, copy, boundaries })
        : await this.memory.capture({
            gateFd,
            epoch,
            copy,
            boundaries,
            openTimeoutMs: PAUSE_OPEN_TIMEOUT_MS,
            drainTimeoutMs: PAUSE_DRAIN_TIMEOUT_MS,
            deviceStateBytesMax: DEVICE_STATE_BYTES_MAX,
            ...(begin === undefined ? {} : { begin }),
            ...(ahead === undefined ? {} : { ahead }),
            ...(outlet === undefined ? {} : { outlet }),
          });
    const parts = [first];
    while (parts.at(-1)?.status === 'partial') {
      this.#shippedPaused = true;
      await onStagingFull();
      parts.push(await this.memory.captureRest());
    }
    return joined(parts);
  }
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
