/**
 * What a host does about a domain when nobody asks it: after a takeover, a dead session, a reboot. Pure.
 *
 * A situation in, one step out. The step is tried, and whatever comes of it is looked at anew, so that each step
 * may fail, be interrupted or be done twice. The first rule that fits counts.
 */
import type { Role, State } from './states.js';

export interface Situation {
  role: Role;
  /** The operator wants the domain protected, and protected again after a fault without being asked. */
  automatic: boolean;
  /** The newest term known here is this host's. */
  ours: boolean;
  /** libvirt may start the domain here: the other host cannot have taken it over. */
  startable: boolean;
  /** As backup: it took its term for a promotion that ended before the domain ran here. */
  unfinished: boolean;
  /** State of the session that lives here. */
  session: State | 'none';
  /** `waiting`: a standby without its session. */
  guest: 'running' | 'waiting' | 'stopped' | 'unknown';
  /** What the other host's agent says; `unasked` until a rule wants to know. */
  peer: Peer | 'unasked' | 'silent';
}

export interface Peer {
  /** It knows a newer term than this host. */
  newerTerm: boolean;
  /** It has a standby with a committed checkpoint, or is promoting it. */
  mayTakeOver: boolean;
  /** It took its term for a promotion of which it does not know yet how it ended. */
  undecided: boolean;
  /** No session of the domain lives there. */
  free: boolean;
}

export const STEPS = {
  rest: 'Nothing is to be done.',
  ask: 'Ask the other host what it knows of the domain.',
  wait: 'Look again after a while.',
  protect: 'Start a session that protects the running guest.',
  reprotect: 'Start a session that copies the guest to the host that lost it.',
  yield: 'End the copy here, forget its definition, be the backup.',
  release: 'Give the term back: the domain is the other host’s still.',
  claim: 'Take the next term with the other host’s consent, and start the domain.',
} as const;

export type StepName = keyof typeof STEPS;

export interface Step {
  step: StepName;
  because: string;
}

interface Rule extends Step {
  when: (situation: Situation) => boolean;
}

/** Whether the domain here is ours to run and to protect. */
const owns = ({ role, ours }: Situation): boolean => ours && role === 'primary';
/** The guest of a takeover: its session may have died since. */
const tookOver = ({ role, ours, session, guest }: Situation): boolean =>
  session === 'promoted' ||
  (session === 'none' && role === 'backup' && ours && guest === 'running');
/** The other host may have, or may come to have, the domain. */
const doubtful = (situation: Situation): boolean =>
  tookOver(situation) ||
  (owns(situation) && !situation.startable) ||
  (!situation.ours && situation.guest === 'running');

const answer = ({ peer }: Situation): Peer | undefined =>
  typeof peer === 'object' ? peer : undefined;

export const RULES: readonly Rule[] = [
  {
    when: ({ automatic }) => !automatic,
    step: 'rest',
    because: 'Recovery is left to the operator.',
  },
  {
    when: ({ session }) => session !== 'none' && session !== 'promoted',
    step: 'rest',
    because: 'A session takes care of the domain.',
  },
  {
    when: ({ guest }) => guest === 'unknown',
    step: 'wait',
    because: 'libvirt does not answer.',
  },
  {
    when: (situation) => doubtful(situation) && situation.peer === 'unasked',
    step: 'ask',
    because: 'Only the other host knows whether it took the domain over.',
  },
  {
    when: (situation) => doubtful(situation) && situation.peer === 'silent',
    step: 'wait',
    because: 'The other host does not answer, and may have the domain.',
  },
  {
    when: (situation) => {
      const peer = answer(situation);
      return doubtful(situation) && peer?.newerTerm === true && peer.undecided;
    },
    step: 'wait',
    because: 'The other host is taking the domain over, and may fail.',
  },
  {
    when: (situation) => doubtful(situation) && answer(situation)?.newerTerm === true,
    step: 'yield',
    because: 'The other host has the domain under a newer term.',
  },
  {
    when: (situation) => tookOver(situation) && answer(situation)?.free === false,
    step: 'wait',
    because: 'The other host has not let go of its copy yet.',
  },
  {
    when: tookOver,
    step: 'reprotect',
    because: 'The domain was taken over and the other host is back.',
  },
  {
    when: ({ role, ours, unfinished, session, guest }) =>
      role === 'backup' && ours && unfinished && session === 'none' && guest === 'stopped',
    step: 'release',
    because: 'The takeover ended before the domain ran here.',
  },
  {
    when: (situation) => !owns(situation),
    step: 'rest',
    because: 'The other host runs the domain and protects it toward this one.',
  },
  {
    when: (situation) => answer(situation)?.mayTakeOver === true,
    step: 'wait',
    because: 'The other host is about to take the domain over.',
  },
  {
    when: ({ guest }) => guest === 'running',
    step: 'protect',
    because: 'The guest runs and no session protects it.',
  },
  {
    when: ({ startable }) => startable,
    step: 'rest',
    because: 'The guest was ended on purpose; it is protected again when it is started.',
  },
  {
    when: () => true,
    step: 'claim',
    because: 'The guest died, and the other host has nothing to go on from.',
  },
];

export function nextStep(situation: Situation): Step {
  const { step, because } = RULES.find(({ when }) => when(situation)) as Rule;
  return { step, because };
}
