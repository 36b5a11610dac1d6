/** QEMU's own word on whether the guest runs (RunState in qapi/run-state.json), and making it run. */
import { messageOf } from '../errors.js';
import type { ProtectedDomain } from './domain.js';
import { hypervisorError } from './errors.js';
import { RESUME_TIMEOUT_MS } from './limits.js';
import { readReply } from './monitor.js';
import { statusReply } from './qmp-replies.js';

/** QEMU's run state of a standby that waits for its checkpoint. */
export const WAITING = 'inmigrate';

/** running, paused, inmigrate, save-vm (inside the gate), … */
export async function runState(domain: ProtectedDomain): Promise<string> {
  const names = { operation: 'query-status', domain: domain.name };
  return readReply(statusReply, await domain.qmp('query-status'), names).status;
}

/** Lets a stopped guest run and asks whether it does. @throws HYP_GUEST_NOT_RESUMED */
export async function letRun(domain: ProtectedDomain): Promise<void> {
  let why: string;
  try {
    await domain.qmp('cont', undefined, RESUME_TIMEOUT_MS);
    const state = await runState(domain);
    if (state === 'running') return;
    why = `it is ${state}`;
  } catch (error) {
    why = messageOf(error);
  }
  throw hypervisorError('HYP_GUEST_NOT_RESUMED', `${domain.name} does not run: ${why}`, {
    operation: 'resume',
    domain: domain.name,
  });
}
