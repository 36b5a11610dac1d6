/**
 * The ways to hold output, and which of them this kernel gets. Each also takes over what a dead hold of the
 * other kind left, with the output stopped all the time.
 */
import { holdError } from './errors.js';
import { holderBackend } from './holder.js';
import type { HoldBackend, HoldBackendName, HoldOptions, OutputHold } from './output-hold.js';
import { plugBackend } from './plug.js';
import { requireNoLivePlug } from './plug-state.js';

/** In the order of preference. */
const backends: readonly HoldBackend[] = [
  plugBackend,
  { ...holderBackend, holdOutput: holdInPlaceOfPlug },
];

/** Those whose probe has succeeded; a kernel does not forget what it can do. */
const available = new Set<HoldBackendName>();

/**
 * `auto`: the plug where this kernel has it, else the holder. With `lease` only one that can let output pass
 * for a limited time: HOLD_NO_LEASE when another was asked for by name. HOLD_UNAVAILABLE with the reason of
 * every probe when none works.
 */
export async function chooseBackend(
  wanted: 'auto' | HoldBackendName,
  { lease }: { lease: boolean },
): Promise<HoldBackend> {
  const named = backends.filter(({ name }) => wanted === 'auto' || name === wanted);
  const candidates = named.filter(({ canLease }) => canLease || !lease);
  if (candidates.length === 0) {
    throw holdError('HOLD_NO_LEASE', `the backend ${wanted} cannot let output pass on a lease`);
  }
  const reasons: string[] = [];
  for (const backend of candidates) {
    if (available.has(backend.name)) return backend;
    const probe = await backend.probe();
    if (probe.available) {
      available.add(backend.name);
      return backend;
    }
    reasons.push(`${backend.name}: ${probe.reason}`);
  }
  throw holdError('HOLD_UNAVAILABLE', reasons.join('; '));
}

/**
 * After a crash: gives the tap back to its bridge, whichever backend held it. Idempotent.
 * HOLD_STILL_HELD while a process holds it.
 */
export async function restoreTap(options: { tap: string; bridge: string }): Promise<void> {
  await requireNoLivePlug(options.tap);
  await holderBackend.restoreTap(options);
  await plugBackend.restoreTap(options);
}

/** The holder's redirect stands in front of a dead plug's or replaces it; then nothing needs the plug. */
async function holdInPlaceOfPlug(options: HoldOptions): Promise<OutputHold> {
  await requireNoLivePlug(options.tap);
  const hold = await holderBackend.holdOutput(options);
  try {
    await plugBackend.restoreTap(options);
  } catch (failure) {
    await hold.close({ release: false });
    throw failure;
  }
  return hold;
}
