/** Why a guest ended, judged from libvirt's events and the end of its process, in any order. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type GuestEnd, watchGuestEnd } from '../../../src/agent/primary/guest-end.js';
import type { LifecycleEvent } from '../../../src/hypervisor/lifecycle.js';

const UUID = '6b0d0f3e-5a1c-4c5f-9b86-0f2a7f4f7d11';
const PID = 4711;
/** virDomainEventStoppedDetailType */
const STOPPED = { shutDown: 0, destroyed: 1, crashed: 2, migrated: 3, failed: 5 };
/** Longer than any word of libvirt is waited for. */
const LONG_MS = 10_000;

const event = (kind: LifecycleEvent['kind'], detail = 0, uuid = UUID): LifecycleEvent => ({
  domain: 'guest',
  uuid,
  kind,
  detail,
});

/** A watched guest whose events and exit the test makes happen. */
function watched() {
  const ends: GuestEnd[] = [];
  const unsubscribe = vi.fn();
  const closeWatch = vi.fn();
  let tell: (event: LifecycleEvent) => void = () => undefined;
  let exit: () => void = () => undefined;
  const stop = watchGuestEnd(
    {
      uuid: UUID,
      pid: PID,
      subscribe: (listener) => {
        tell = listener;
        return unsubscribe;
      },
    },
    (end) => ends.push(end),
    (pid, onEnded) => {
      expect(pid).toBe(PID);
      exit = onEnded;
      return { close: closeWatch };
    },
  );
  return {
    ends,
    unsubscribe,
    closeWatch,
    stop,
    tell: (told: LifecycleEvent) => tell(told),
    exit: () => exit(),
  };
}

type Step = LifecycleEvent | 'exit' | { afterMs: number };

const onPurpose = (how: string): GuestEnd => ({ how, onPurpose: true });
const died = (how: string): GuestEnd => ({ how, onPurpose: false });

const cases: { what: string; steps: Step[]; end: GuestEnd | undefined }[] = [
  { what: 'nothing', steps: [{ afterMs: LONG_MS }], end: undefined },
  { what: 'an exit, not yet judged', steps: ['exit'], end: undefined },
  { what: 'an exit without a word', steps: ['exit', { afterMs: LONG_MS }], end: died('died') },
  {
    what: 'an exit, then libvirt says destroyed',
    steps: ['exit', { afterMs: 200 }, event('stopped', STOPPED.destroyed)],
    end: onPurpose('was destroyed'),
  },
  {
    what: 'an exit, then only a word of the shutdown',
    steps: ['exit', event('shutdown'), { afterMs: LONG_MS }],
    end: onPurpose('shut down'),
  },
  {
    what: 'a shutdown that has not ended',
    steps: [event('shutdown'), { afterMs: LONG_MS }],
    end: undefined,
  },
  {
    what: 'a shutdown, then at once the exit',
    steps: [event('shutdown'), 'exit'],
    end: onPurpose('shut down'),
  },
  {
    what: 'a shutdown, then libvirt says stopped',
    steps: [event('shutdown'), event('stopped', STOPPED.shutDown)],
    end: onPurpose('shut down'),
  },
  {
    what: 'destroyed before the exit is seen',
    steps: [event('stopped', STOPPED.destroyed), 'exit'],
    end: onPurpose('was destroyed'),
  },
  { what: 'failed', steps: [event('stopped', STOPPED.failed)], end: died('died') },
  {
    what: 'an exit, then failed',
    steps: ['exit', event('stopped', STOPPED.failed)],
    end: died('died'),
  },
  { what: 'stopped as crashed', steps: [event('stopped', STOPPED.crashed)], end: died('crashed') },
  {
    what: 'migrated',
    steps: [event('stopped', STOPPED.migrated)],
    end: onPurpose('migrated away'),
  },
  { what: 'a panic of the guest', steps: [event('crashed')], end: onPurpose('panicked') },
  { what: 'a stop of a new kind', steps: [event('stopped', 99)], end: onPurpose('ended') },
  {
    what: 'pauses and resumes',
    steps: [event('suspended'), event('resumed'), { afterMs: LONG_MS }],
    end: undefined,
  },
  {
    what: 'the end of another domain',
    steps: [event('stopped', STOPPED.destroyed, 'another'), { afterMs: LONG_MS }],
    end: undefined,
  },
];

describe('watchGuestEnd', () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());

  it.each(cases)('$what', ({ steps, end }) => {
    const guest = watched();
    for (const step of steps) {
      if (step === 'exit') guest.exit();
      else if ('afterMs' in step) vi.advanceTimersByTime(step.afterMs);
      else guest.tell(step);
    }
    expect(guest.ends).toEqual(end === undefined ? [] : [end]);
  });

  it('waits for a late word longer than libvirt takes to look, 200 ms', () => {
    const guest = watched();
    guest.exit();
    vi.advanceTimersByTime(300);
    expect(guest.ends).toEqual([]);
    guest.tell(event('stopped', STOPPED.destroyed));
    expect(guest.ends).toEqual([onPurpose('was destroyed')]);
  });

  it('says it once and lets go of both sources, whatever comes later', () => {
    const guest = watched();
    guest.exit();
    vi.advanceTimersByTime(LONG_MS);
    guest.tell(event('stopped', STOPPED.destroyed));
    guest.exit();
    vi.advanceTimersByTime(LONG_MS);
    expect(guest.ends).toEqual([died('died')]);
    expect(guest.unsubscribe).toHaveBeenCalledTimes(1);
    expect(guest.closeWatch).toHaveBeenCalledTimes(1);
  });

  it('says nothing once stopped, also when the exit came before', () => {
    const guest = watched();
    guest.exit();
    guest.stop();
    vi.advanceTimersByTime(LONG_MS);
    guest.tell(event('stopped', STOPPED.failed));
    expect(guest.ends).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });
});
