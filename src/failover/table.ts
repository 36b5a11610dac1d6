/**
 * Failover, as one table: role, from, event → to, why, actions.
 *
 * Pure. The order of rows carries no meaning: at most one row matches (a test says so). What has
 * no row is refused by `transition`. docs/states.md is generated from here.
 */
import { errorsOf } from '../errors.js';
import type { Action, Event, Role, State } from './states.js';

export const failoverErrors = {
  FAILOVER_NOT_NOW: {
    meaning: 'The request has no meaning in the state the domain is in.',
    remedy: 'Look at `understudy status DOMAIN`; wait for the state that the request needs.',
  },
  FAILOVER_NO_GRANT: {
    meaning: 'The arbiter did not grant the next term to this host.',
    remedy:
      'The other host may still own the domain: see its status and whether it can be reached.',
  },
} as const;

export const failoverError = errorsOf(failoverErrors);

export interface Row {
  readonly role: Role;
  readonly from: readonly State[];
  readonly event: Event;
  readonly to: State;
  readonly because: string;
  readonly actions: readonly Action[];
}

const COPYING = ['syncing', 're-protecting'] as const;
const ALIVE_PRIMARY = [...COPYING, 'protected', 'exposed', 'degraded'] as const;

export const TABLE: readonly Row[] = [
  {
    role: 'primary',
    from: ['unprotected', 'failed'],
    event: 'protectAsked',
    to: 'syncing',
    because: 'Protection starts with a full copy.',
    actions: ['sync'],
  },
  {
    role: 'primary',
    from: ['unprotected'],
    event: 'reprotectAsked',
    to: 're-protecting',
    because: 'The host that lost the domain becomes its backup, and gets what it misses.',
    actions: ['sync'],
  },
  {
    role: 'primary',
    from: COPYING,
    event: 'firstCommit',
    to: 'protected',
    because: 'From the first commit on the backup can take over.',
    actions: [],
  },
  {
    role: 'primary',
    from: COPYING,
    event: 'syncFailed',
    to: 'unprotected',
    because: 'No checkpoint was sent, so nobody can have taken over; the guest goes on as before.',
    actions: ['releaseOutput'],
  },
  {
    role: 'primary',
    from: ['protected', 'exposed'],
    event: 'outputUnheld',
    to: 'exposed',
    because: 'What left unheld is unknown to the backup: a takeover now would take it back.',
    actions: ['checkpointNow'],
  },
  {
    role: 'primary',
    from: ['exposed'],
    event: 'covered',
    to: 'protected',
    because: 'The backup has the state that produced what left.',
    actions: [],
  },
  {
    role: 'primary',
    from: [...COPYING, 'protected', 'exposed'],
    event: 'devicesChanged',
    to: 'syncing',
    because:
      'The standby would be another machine, and what is new is not held: nobody can take over, so protection starts anew.',
    actions: ['releaseOutput', 'sync'],
  },
  {
    role: 'primary',
    from: [...COPYING, 'protected', 'exposed'],
    event: 'peerLost',
    to: 'degraded',
    because: 'The backup may have taken over or be dead; only held output is safe in both cases.',
    actions: ['keepHeld', 'reconnect'],
  },
  {
    role: 'primary',
    from: [...COPYING, 'protected', 'exposed'],
    event: 'libvirtLost',
    to: 'degraded',
    because:
      'Without libvirt there are no checkpoints. The backup still hears this host, and does not take over.',
    actions: ['keepHeld', 'reconnect'],
  },
  {
    role: 'primary',
    from: ['degraded'],
    event: 'peerReturned',
    to: 'syncing',
    because: 'The backup starts from nothing, so everything is copied again; output stays held.',
    actions: ['sync'],
  },
  {
    role: 'primary',
    from: ['protected'],
    event: 'switchoverAsked',
    to: 'switching-over',
    because: 'Planned: the guest stops first, so that not a moment of its work is lost.',
    actions: ['handOver'],
  },
  {
    role: 'primary',
    from: ['switching-over'],
    event: 'switchoverRefused',
    to: 'degraded',
    because: 'The other host gave the term back, so the guest may go on here.',
    actions: ['takeBack', 'reconnect'],
  },
  {
    role: 'primary',
    from: ['switching-over'],
    event: 'peerLost',
    to: 'degraded',
    because:
      'The other host may run the guest by now; the copy here goes on unheard until that is known.',
    actions: ['keepHeld', 'letRun', 'reconnect'],
  },
  {
    role: 'primary',
    from: [...ALIVE_PRIMARY, 'switching-over'],
    event: 'superseded',
    to: 'fenced',
    because: 'The domain runs on the other host under a newer term; ours was never heard since.',
    actions: ['stopGuest', 'dropOutput'],
  },
  {
    role: 'primary',
    from: ALIVE_PRIMARY,
    event: 'unprotectAsked',
    to: 'unprotected',
    because: 'The standby goes first, then nothing needs to be held.',
    actions: ['sayGoodbye', 'releaseOutput'],
  },
  {
    role: 'primary',
    from: ALIVE_PRIMARY,
    event: 'pauseAsked',
    to: 'paused',
    because: 'As without protection, but how to protect is remembered.',
    actions: ['sayGoodbye', 'releaseOutput'],
  },
  {
    role: 'primary',
    from: ALIVE_PRIMARY,
    event: 'guestStopped',
    to: 'unprotected',
    because: 'A guest that ended on purpose is not resurrected.',
    actions: ['sayGoodbye', 'releaseOutput'],
  },
  {
    role: 'primary',
    from: ['protected', 'exposed', 'degraded', 'switching-over'],
    event: 'guestCrashed',
    to: 'fenced',
    because: 'QEMU died; the backup takes over without waiting for silence.',
    actions: ['dropOutput', 'sayYield'],
  },
  {
    role: 'primary',
    from: COPYING,
    event: 'guestCrashed',
    to: 'failed',
    because: 'There is no committed checkpoint to go on from.',
    actions: ['sayGoodbye', 'dropOutput'],
  },
  {
    role: 'primary',
    from: [...ALIVE_PRIMARY, 'switching-over'],
    event: 'sessionDied',
    to: 'failed',
    because: 'The held layout of the tap drops everything once its owner is gone: fail closed.',
    actions: ['keepHeld'],
  },
  {
    role: 'backup',
    from: ['unprotected'],
    event: 'protectAsked',
    to: 'syncing',
    because: 'A standby waits for its first checkpoint.',
    actions: [],
  },
  {
    role: 'backup',
    from: ['syncing'],
    event: 'firstCommit',
    to: 'protected',
    because: 'From the first commit on this host can take over.',
    actions: [],
  },
  {
    role: 'backup',
    from: ['syncing'],
    event: 'peerLost',
    to: 'unprotected',
    because: 'There is no committed checkpoint to go on from.',
    actions: ['destroyStandby'],
  },
  {
    role: 'backup',
    from: ['protected'],
    event: 'peerLost',
    to: 'promoting',
    because: 'Every heartbeat path has been silent for the time-out.',
    actions: ['askArbiter', 'promote'],
  },
  {
    role: 'backup',
    from: ['syncing', 'protected'],
    event: 'peerReturned',
    to: 'syncing',
    because: 'The primary is alive and starts again from nothing.',
    actions: ['destroyStandby'],
  },
  {
    role: 'backup',
    from: ['protected'],
    event: 'peerYielded',
    to: 'promoting',
    because: 'The primary itself says that it is gone.',
    actions: ['askArbiter', 'promote'],
  },
  {
    role: 'backup',
    from: ['protected'],
    event: 'failoverAsked',
    to: 'promoting',
    because: 'An operator wants the domain here; the primary is fenced by the newer term.',
    actions: ['askArbiter', 'promote'],
  },
  {
    role: 'backup',
    from: ['promoting'],
    event: 'promoteDone',
    to: 'promoted',
    because: 'The guest runs here from the committed checkpoint.',
    actions: ['keepDefinition', 'sayPromoted'],
  },
  {
    role: 'backup',
    from: ['promoting'],
    event: 'promoteFailed',
    to: 'failed',
    because: 'The standby refused the checkpoint; nothing was announced.',
    actions: [],
  },
  {
    role: 'backup',
    from: ['syncing', 'protected'],
    event: 'unprotectAsked',
    to: 'unprotected',
    because: 'Protection ended on purpose.',
    actions: ['destroyStandby'],
  },
  {
    role: 'backup',
    from: ['syncing', 'protected'],
    event: 'standbyDied',
    to: 'failed',
    because:
      'Without its standby this host cannot take over; the primary is told by the closed connection.',
    actions: ['destroyStandby'],
  },
  {
    role: 'backup',
    from: ['promoted'],
    event: 'guestStopped',
    to: 'unprotected',
    because: 'The promoted guest ended on purpose.',
    actions: [],
  },
  {
    role: 'backup',
    from: ['syncing', 'protected', 'promoting'],
    event: 'sessionDied',
    to: 'failed',
    because: 'The replica was the session’s; the primary goes on held and starts again.',
    actions: ['destroyStandby'],
  },
];

/** The matching row, or undefined when the event has no meaning in that state. */
export function rowFor(role: Role, from: State, event: Event): Row | undefined {
  return TABLE.find((row) => row.role === role && row.event === event && row.from.includes(from));
}

/** The next state and what to do, or `FAILOVER_NOT_NOW`. */
export function transition(role: Role, from: State, event: Event): Row {
  const row = rowFor(role, from, event);
  if (row === undefined) {
    throw failoverError('FAILOVER_NOT_NOW', `${role} is ${from}: ${event} has no meaning here`);
  }
  return row;
}
