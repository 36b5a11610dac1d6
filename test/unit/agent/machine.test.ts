/** A session's state and the order of its actions, with executors that the test completes. */
import { describe, expect, it, vi } from 'vitest';
import type { Log } from '../../../src/agent/log.js';
import { type Executors, SessionMachine } from '../../../src/agent/session/machine.js';
import { deferred } from '../../../src/deferred.js';
import { ACTIONS, type Action, type Role } from '../../../src/failover/states.js';

const none = (): void => undefined;
const silent: Log = { debug: none, info: none, warn: none, error: none };
const actions = Object.keys(ACTIONS) as Action[];
const notNow = expect.objectContaining({ code: 'FAILOVER_NOT_NOW' });

/** A machine that notes what it does; `override` replaces single executors. */
function machine(role: Role, override: Executors = {}) {
  const done: string[] = [];
  const noted = actions.map((action) => [
    action,
    async () => {
      done.push(action);
      await override[action]?.();
      done.push(`${action}.`);
    },
  ]);
  const onChanged = vi.fn();
  return {
    done,
    onChanged,
    machine: new SessionMachine(role, Object.fromEntries(noted) as Executors, silent, onChanged),
  };
}

describe('SessionMachine', () => {
  it('changes its state at once, and runs the actions one after the other', async () => {
    const arbiter = deferred();
    const { machine: backup, done } = machine('backup', { askArbiter: () => arbiter.promise });
    await backup.raise('protectAsked');
    await backup.raise('firstCommit');
    const promoting = backup.raise('peerLost');
    expect(backup.state).toBe('promoting');
    await vi.waitFor(() => expect(done).toEqual(['askArbiter']));
    arbiter.resolve();
    await promoting;
    expect(done).toEqual(['askArbiter', 'askArbiter.', 'promote', 'promote.']);
  });

  it('starts the actions of an event only when those of the one before have ended', async () => {
    const reconnected = deferred();
    const { machine: primary, done } = machine('primary', { reconnect: () => reconnected.promise });
    await primary.raise('protectAsked');
    const lost = primary.raise('peerLost');
    const returned = primary.raise('peerReturned');
    expect(primary.state).toBe('syncing');
    await vi.waitFor(() => expect(done).toContain('reconnect'));
    expect(done.filter((what) => what === 'sync')).toHaveLength(1);
    reconnected.resolve();
    await Promise.all([lost, returned]);
    expect(done.slice(-3)).toEqual(['reconnect.', 'sync', 'sync.']);
  });

  it('gives a failure to whoever raised the event, leaves out the rest of its actions, and goes on', async () => {
    const { machine: primary, done } = machine('primary', {
      sayGoodbye: () => Promise.reject(new Error('the peer is gone')),
    });
    await primary.raise('protectAsked');
    const ended = primary.raise('guestStopped');
    const again = primary.raise('protectAsked');
    await expect(ended).rejects.toThrow('the peer is gone');
    await again;
    // Output stays held: nobody knows that the standby is gone.
    expect(done).toEqual(['sync', 'sync.', 'sayGoodbye', 'sync', 'sync.']);
    expect(primary.state).toBe('syncing');
  });

  it('gives on what an action throws before it returns', async () => {
    const primary = new SessionMachine(
      'primary',
      {
        sync: () => {
          throw new Error('at once');
        },
      },
      silent,
      none,
    );
    await expect(primary.raise('protectAsked')).rejects.toThrow('at once');
  });

  it('refuses an event without a meaning, and nothing changes', async () => {
    const { machine: primary, done, onChanged } = machine('primary');
    await expect(primary.raise('firstCommit')).rejects.toEqual(notNow);
    expect(primary.accepts('firstCommit')).toBe(false);
    expect(await primary.raiseIfMeaningful('firstCommit')).toBe(false);
    expect(primary.state).toBe('unprotected');
    expect(done).toEqual([]);
    expect(onChanged).not.toHaveBeenCalled();
  });

  it('raises an event that has a meaning, and says so', async () => {
    const { machine: primary, onChanged } = machine('primary');
    expect(primary.accepts('protectAsked')).toBe(true);
    expect(await primary.raiseIfMeaningful('protectAsked')).toBe(true);
    expect(primary.state).toBe('syncing');
    expect(onChanged).toHaveBeenCalledTimes(1);
  });

  it('tells of a change before its actions run, with the new state and reason', async () => {
    const seen: unknown[] = [];
    const primary: SessionMachine = new SessionMachine(
      'primary',
      { sync: () => void seen.push('sync') },
      silent,
      () => seen.push([primary.state, primary.reason]),
    );
    const reason = { code: 'SOME_CODE', message: 'why', remedy: 'what to do' };
    await primary.raise('protectAsked', reason);
    await primary.raise('firstCommit');
    expect(seen).toEqual([['syncing', reason], 'sync', ['protected', undefined]]);
  });

  it('needs no executor for what a role never does', async () => {
    const backup = new SessionMachine('backup', {}, silent, none);
    await backup.raise('protectAsked');
    await backup.raise('peerLost');
    expect(backup.state).toBe('unprotected');
  });
});
