/** What a host does by itself about a domain: in no situation that there is does it risk a second instance. */
import { describe, expect, it } from 'vitest';
import { nextStep, RULES, type Situation, STEPS } from '../../../src/failover/recovery.js';
import { STATES, type State } from '../../../src/failover/states.js';

const bools = [true, false] as const;
const peers: Situation['peer'][] = [
  'unasked',
  'silent',
  ...bools.flatMap((newerTerm) =>
    bools.flatMap((mayTakeOver) =>
      bools.flatMap((undecided) =>
        bools.map((free) => ({ newerTerm, mayTakeOver, undecided, free })),
      ),
    ),
  ),
];

function* situations(): Generator<Situation> {
  for (const role of ['primary', 'backup'] as const)
    for (const automatic of bools)
      for (const ours of bools)
        for (const startable of bools)
          for (const session of ['none', ...(Object.keys(STATES) as State[])] as const)
            for (const guest of ['running', 'waiting', 'stopped', 'unknown'] as const)
              for (const unfinished of bools)
                for (const peer of peers)
                  yield { role, automatic, ours, startable, unfinished, session, guest, peer };
}
const ALL = [...situations()];
const words = (situation: Situation): string => JSON.stringify(situation);

const primary: Situation = {
  ...{ role: 'primary', automatic: true, ours: true, startable: false, unfinished: false },
  ...{ session: 'none', guest: 'running' },
  peer: { newerTerm: false, mayTakeOver: false, undecided: false, free: true },
};
const freePeer = { newerTerm: false, mayTakeOver: false, undecided: false, free: true };

describe('the recovery of a domain', () => {
  it('knows a step for every situation', () => {
    for (const situation of ALL)
      expect(STEPS, words(situation)).toHaveProperty(nextStep(situation).step);
  });

  it('needs every rule', () => {
    const used = new Set(ALL.map((situation) => nextStep(situation).because));
    expect(RULES.map(({ because }) => because).filter((because) => !used.has(because))).toEqual([]);
  });

  it.each<[string, Partial<Situation>, string]>([
    ['its session died and the backup did not take over', {}, 'protect'],
    [
      'its session died and the backup is about to',
      { peer: { ...freePeer, mayTakeOver: true } },
      'wait',
    ],
    ['its session died and the backup did', { peer: { ...freePeer, newerTerm: true } }, 'yield'],
    [
      'its session died and the backup may fail to',
      { peer: { ...freePeer, newerTerm: true, undecided: true } },
      'wait',
    ],
    [
      'its own takeover did not come to run it',
      { role: 'backup', unfinished: true, guest: 'stopped', peer: 'unasked' },
      'release',
    ],
    ['nobody was asked', { peer: 'unasked' }, 'ask'],
    ['nobody answers', { peer: 'silent' }, 'wait'],
    ['both hosts lost power', { guest: 'stopped' }, 'claim'],
    ['the guest was shut down', { guest: 'stopped', startable: true, peer: 'unasked' }, 'rest'],
    ['it was started again', { startable: true, peer: 'unasked' }, 'protect'],
    [
      'it was taken over and the other host is back',
      { role: 'backup', session: 'promoted' },
      'reprotect',
    ],
    [
      'it was taken over and the other host still has a session',
      { role: 'backup', session: 'promoted', peer: { ...freePeer, free: false } },
      'wait',
    ],
    [
      'it is the backup',
      { role: 'backup', ours: false, guest: 'stopped', peer: 'unasked' },
      'rest',
    ],
    ['an operator sees to it', { automatic: false }, 'rest'],
    ['libvirt hangs', { guest: 'unknown' }, 'wait'],
  ])('when %s', (_, differs, step) => {
    expect(nextStep({ ...primary, ...differs }).step).toBe(step);
  });

  it('runs and starts nothing that the other host may have', () => {
    const risky = ALL.filter(({ peer, startable, ours, role }) => {
      const doubt = !startable || !ours || role === 'backup';
      const known = typeof peer === 'object' && !peer.newerTerm;
      return doubt && !known;
    });
    for (const situation of risky) {
      expect(['protect', 'reprotect', 'claim'], words(situation)).not.toContain(
        nextStep(situation).step,
      );
    }
  });

  it('ends a copy only when the other host has a newer term, and the domain', () => {
    for (const situation of ALL.filter((one) => nextStep(one).step === 'yield')) {
      expect(situation.peer, words(situation)).toMatchObject({ newerTerm: true, undecided: false });
    }
  });

  it('gives a term back only when no copy is here', () => {
    for (const situation of ALL.filter((one) => nextStep(one).step === 'release')) {
      expect(situation, words(situation)).toMatchObject({ guest: 'stopped', session: 'none' });
    }
  });

  it('does nothing unasked', () => {
    for (const situation of ALL.filter(({ automatic }) => !automatic)) {
      expect(nextStep(situation).step).toBe('rest');
    }
  });

  it('leaves to a living session what is its own', () => {
    for (const situation of ALL.filter(
      ({ session }) => session !== 'none' && session !== 'promoted',
    )) {
      expect(nextStep(situation).step, words(situation)).toBe('rest');
    }
  });
});
