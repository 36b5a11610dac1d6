/**
 * Why a guest's QEMU ended: on purpose (shutdown, destroy, a panic of its own) or because it died.
 *
 * libvirt knows, but its word can come late (it cleans up first) or never (libvirtd hangs). So the
 * process itself is watched as well: one that has ended without a word after a while died.
 */
import type { UnderstudyError } from '../../errors.js';
import { isGone, type LifecycleEvent } from '../../hypervisor/lifecycle.js';
import { native } from '../../native.js';
import { agentError } from '../errors.js';

export interface GuestEnd {
  how: string;
  /** Shut down or destroyed by somebody; otherwise QEMU died. */
  onPurpose: boolean;
}

export function guestEndError({ how, onPurpose }: GuestEnd, domain: string): UnderstudyError {
  const code = onPurpose ? 'AGENT_GUEST_GONE' : 'AGENT_GUEST_DIED';
  return agentError(code, `the guest ${how}`, { domain });
}

/** libvirt looks every 200 ms whether a QEMU that it destroys has ended (virProcessKillPainfully). */
const LAST_WORDS_MS = 500;

/** virDomainEventStoppedDetailType, in its order; what is not "by itself" was asked for. */
const STOPPED: readonly GuestEnd[] = [
  { how: 'shut down', onPurpose: true },
  { how: 'was destroyed', onPurpose: true },
  { how: 'crashed', onPurpose: false },
  { how: 'migrated away', onPurpose: true },
  { how: 'was saved', onPurpose: true },
  { how: 'died', onPurpose: false },
  { how: 'went back to a snapshot', onPurpose: true },
];

export interface EndSources {
  uuid: string;
  pid: number;
  subscribe: (listener: (event: LifecycleEvent) => void) => () => void;
}

/** Calls `onEnded` once; returns what stops the watch. */
export function watchGuestEnd(
  sources: EndSources,
  onEnded: (end: GuestEnd) => void,
  watchProcess: typeof native.watchProcess = native.watchProcess,
): () => void {
  let lastWords: GuestEnd | undefined;
  let timer: NodeJS.Timeout | undefined;
  let over = false;
  const stop = (): void => {
    over = true;
    clearTimeout(timer);
    unsubscribe();
    watch.close();
  };
  const end = (how: GuestEnd): void => {
    if (over) return;
    stop();
    onEnded(how);
  };
  const unsubscribe = sources.subscribe((event) => {
    if (event.uuid !== sources.uuid) return;
    if (event.kind === 'shutdown') lastWords = { how: 'shut down', onPurpose: true };
    else if (event.kind === 'crashed') lastWords = { how: 'panicked', onPurpose: true };
    if (isGone(event)) end(lastWords ?? STOPPED[event.detail] ?? { how: 'ended', onPurpose: true });
  });
  const watch = watchProcess(sources.pid, () => {
    if (lastWords !== undefined) end(lastWords);
    else
      timer = setTimeout(() => end(lastWords ?? { how: 'died', onPurpose: false }), LAST_WORDS_MS);
  });
  return stop;
}
