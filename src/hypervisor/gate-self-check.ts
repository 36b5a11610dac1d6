/**
 * Is the gate exact for this domain? Asked of the domain itself, as it depends on its devices.
 *
 * Through the gate, memory is scanned while QEMU is still saving. That is exact only if saving
 * dirties no guest page. So: stop, scan, save, scan again; the second scan must find nothing.
 */
import type { NativeCapture, NativeGuestMemory } from '../native.js';
import type { ProtectedDomain } from './domain.js';
import { SCRATCH_BYTES, SETTLE_ROUNDS } from './limits.js';
import { letRun, runState } from './run-state.js';
import { StoppedPause } from './stopped-pause.js';
import { checkDeviceState } from './whole-state.js';

export interface GateSelfCheck {
  /** Guest pages written by saving device state. */
  pagesDirtiedBySave: number;
  deviceStateBytes: number;
}

/**
 * For memory that is attached but not yet synced: afterwards the next capture reports every page.
 * All of RAM is read once while the guest runs; then it stands still for two short scans.
 * @throws HYP_DEVICE_STATE_BAD, HYP_GATE_FAILED, HYP_GUEST_NOT_RESUMED, and what `memory` throws
 */
export async function selfCheckGate(
  domain: ProtectedDomain,
  memory: NativeGuestMemory,
): Promise<GateSelfCheck> {
  const pause = await StoppedPause.open(domain);
  try {
    const scratch = Buffer.alloc(SCRATCH_BYTES);
    // Leaves little to be scanned and read while the guest stands still.
    for (let round = 0; round < SETTLE_ROUNDS; round += 1) await scanAndForget(memory, scratch);
    const ranBefore = (await runState(domain)) === 'running';
    try {
      await domain.qmp('stop');
      await scanAndForget(memory, scratch);
      const { capture, deviceState } = await pause.saveStopped(() => scan(memory));
      checkDeviceState(deviceState);
      return { pagesDirtiedBySave: capture.dirtyPages, deviceStateBytes: deviceState.length };
    } finally {
      if (ranBefore) await letRun(domain);
    }
  } finally {
    memory.forgetReplica();
    await pause.close();
  }
}

function scan(memory: NativeGuestMemory): Promise<NativeCapture> {
  return memory.captureStopped({ epoch: 0, copy: 'live', boundaries: [] });
}

/** Only what was encoded to the end is not reported again. */
async function scanAndForget(memory: NativeGuestMemory, scratch: Buffer): Promise<void> {
  await scan(memory);
  let encoded = await memory.encodeInto(scratch);
  while (!encoded.done) encoded = await memory.encodeInto(scratch);
}
