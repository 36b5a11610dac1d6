/** Chooses how this domain is paused: through the gate when that is exact and allowed, else in steps. */
import { UnderstudyError } from '../errors.js';
import type { NativeGuestMemory } from '../native.js';
import type { ProtectedDomain } from './domain.js';
import { GatePause } from './gate-pause.js';
import { selfCheckGate } from './gate-self-check.js';
import { DEVICE_STATE_BYTES_MAX, PROBE_TIMEOUT_MS } from './limits.js';
import type { MonitorPath } from './monitor.js';
import type { PauseSource } from './pause-source.js';
import { qemuProcess } from './process.js';
import { StoppedPause } from './stopped-pause.js';

export interface PauseChoice {
  domain: ProtectedDomain;
  /** Attached, not yet synced: afterwards its next capture reports every page. */
  memory: NativeGuestMemory;
  /** For a QEMU that is not root; its user must be able to enter the directory. */
  fifoPath: string;
  /** See GateOptions. */
  onGate?: (readFd: number) => void;
  shortcut?: () => MonitorPath | undefined;
}

/** @throws what selfCheckGate throws; the guest runs as before in every case */
export async function choosePauseSource(choice: PauseChoice): Promise<PauseSource> {
  const { domain, memory, fifoPath, onGate, shortcut } = choice;
  const { pagesDirtiedBySave } = await selfCheckGate(domain, memory);
  if (pagesDirtiedBySave > 0) return StoppedPause.open(domain);
  const { uid } = await qemuProcess(domain);
  const gate = new GatePause(domain, {
    qemuUid: uid,
    fifoPath,
    ...(onGate === undefined ? {} : { onGate }),
    ...(shortcut === undefined ? {} : { shortcut }),
  });
  if (await opens(gate, memory)) return gate;
  await gate.close();
  return StoppedPause.open(domain);
}

/** A security profile may forbid QEMU to open the gate; one real pause tells. */
async function opens(gate: GatePause, memory: NativeGuestMemory): Promise<boolean> {
  try {
    await gate.pauseAndCapture(({ gateFd }) => {
      if (gateFd === undefined) throw new TypeError('the gate has no descriptor');
      return memory.capture({
        gateFd,
        epoch: 0,
        copy: 'live',
        boundaries: [],
        openTimeoutMs: PROBE_TIMEOUT_MS,
        drainTimeoutMs: PROBE_TIMEOUT_MS,
        deviceStateBytesMax: DEVICE_STATE_BYTES_MAX,
      });
    });
    return true;
  } catch (error) {
    if (error instanceof UnderstudyError && error.code === 'HYP_GATE_FAILED') return false;
    throw error;
  } finally {
    memory.forgetReplica();
  }
}
