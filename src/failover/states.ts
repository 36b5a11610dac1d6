/**
 * The words of the state machine. Pure: values only.
 *
 * A state is a guarantee about one domain on one host, not a description of activity.
 */

export const STATES = {
  unprotected:
    'The domain runs plainly or not at all here; nothing is held, nothing is replicated.',
  syncing: 'Memory is being copied; a failure now loses the domain as it would without understudy.',
  protected: 'A committed checkpoint exists on the backup and every packet is held until the next.',
  exposed:
    'Somebody took the output hold away and packets left that no checkpoint covers yet; it is back, and the next commit makes good.',
  degraded: 'The domain runs, its output is held, and nobody acknowledges: it cannot be heard.',
  'switching-over':
    'The guest stands still with everything it said committed; the other host is told to go on with it.',
  paused:
    'An operator paused protection: the domain runs plainly, and `resume` protects it as before.',
  promoting: 'The backup has the grant and turns its standby into the running domain.',
  promoted: 'The domain runs here since the takeover; it is not protected yet.',
  're-protecting':
    'The domain runs here since the takeover and is being copied to the other host; not protected yet.',
  fenced: 'Another host took over: the copy here was stopped and its held output thrown away.',
  failed: 'The session cannot go on; what is said in the reason needs an operator.',
} as const;

export type State = keyof typeof STATES;
export type Role = 'primary' | 'backup';

/** What can happen to a session. */
export const EVENTS = {
  protectAsked: 'An operator asked for protection.',
  reprotectAsked: 'After a takeover, protection toward the other host begins.',
  firstCommit: 'The first checkpoint is committed.',
  syncFailed: 'The copy failed before any checkpoint was sent.',
  outputUnheld: 'A part of the output hold was taken away from outside and has been put back.',
  covered: 'A checkpoint begun after that is committed.',
  devicesChanged: 'A device was plugged in or out, and the backup has given its standby up.',
  peerLost: 'The connection or every heartbeat path to the other host is silent.',
  libvirtLost: 'The connection to libvirt broke while output was held.',
  peerReturned: 'A backup accepts the domain again.',
  peerYielded: 'The primary says that its guest is gone and that it will not go on.',
  superseded: 'Another host holds a newer term.',
  failoverAsked: 'An operator asked for the takeover.',
  switchoverAsked: 'An operator asked for the domain to go to its other host.',
  switchoverRefused: 'The other host said that it did not take the domain.',
  promoteDone: 'The standby runs.',
  promoteFailed: 'The standby could not be promoted.',
  unprotectAsked: 'An operator (or the peer, for him) ended protection.',
  pauseAsked: 'An operator paused protection.',
  guestStopped: 'The guest shut down or was destroyed on purpose.',
  guestCrashed: 'QEMU died under the running guest.',
  standbyDied: 'The standby process died.',
  sessionDied: 'The session process died.',
} as const;

export type Event = keyof typeof EVENTS;

/** What the executor does on a transition, in this order. */
export const ACTIONS = {
  sync: 'Copy all memory, then hold output and send the first checkpoint.',
  keepHeld: 'Leave output held and say so.',
  checkpointNow: 'Begin a checkpoint at once.',
  reconnect: 'Try to reach the backup again, with back-off.',
  releaseOutput: 'Release everything held and put the tap back on its bridge.',
  dropOutput: 'Throw away everything held.',
  stopGuest: 'Destroy the copy of the domain on this host.',
  sayYield: 'Tell the backup that this host will not go on.',
  handOver: 'Stop the guest, commit its last checkpoint, tell the backup to go on with it.',
  takeBack: 'Write the term down that the backup gave back, and let the guest run again.',
  letRun: 'Let the guest run if it was stopped to be handed over.',
  sayGoodbye: 'Tell the peer that protection ended on purpose.',
  askArbiter: 'Ask for the grant of the next term and write it durably before acting.',
  promote:
    'Finish applying the committed epoch, throw away the incomplete one, load, announce, resume.',
  destroyStandby: 'Destroy the standby.',
  keepDefinition: 'Define the domain on this host, if it was defined on the old one.',
  sayPromoted: 'Tell everybody who asks with an older term that it is superseded.',
} as const;

export type Action = keyof typeof ACTIONS;
