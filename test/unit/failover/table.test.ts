import { describe, expect, it } from 'vitest';
import {
  ACTIONS,
  EVENTS,
  type Event,
  type Role,
  STATES,
  type State,
} from '../../../src/failover/states.js';
import { rowFor, TABLE, transition } from '../../../src/failover/table.js';

const roles: Role[] = ['primary', 'backup'];
const states = Object.keys(STATES) as State[];
const events = Object.keys(EVENTS) as Event[];

describe('the state table', () => {
  it('has at most one row for each role, state and event', () => {
    for (const role of roles) {
      for (const state of states) {
        for (const event of events) {
          const rows = TABLE.filter(
            (row) => row.role === role && row.event === event && row.from.includes(state),
          );
          expect(rows.length, `${role} ${state} ${event}`).toBeLessThanOrEqual(1);
        }
      }
    }
  });

  it('gives every row a reason and known actions', () => {
    for (const row of TABLE) {
      expect(row.because).toMatch(/\.$/);
      for (const action of row.actions) expect(ACTIONS).toHaveProperty(action);
    }
  });

  it('uses every event', () => {
    for (const event of events)
      expect(
        TABLE.some((row) => row.event === event),
        event,
      ).toBe(true);
  });

  it('refuses what has no row, with a code', () => {
    expect(() => transition('primary', 'fenced', 'firstCommit')).toThrow(
      expect.objectContaining({ code: 'FAILOVER_NOT_NOW' }),
    );
  });

  it('lets a primary release output only where nobody can have taken over, or on purpose', () => {
    const releasing = TABLE.filter((row) => row.actions.includes('releaseOutput'));
    expect(releasing.map(({ role, event }) => `${role} ${event}`).sort()).toEqual([
      'primary devicesChanged',
      'primary guestStopped',
      'primary pauseAsked',
      'primary syncFailed',
      'primary unprotectAsked',
    ]);
  });

  it('promotes only with a committed checkpoint and after asking the arbiter', () => {
    const promoting = TABLE.filter((row) => row.actions.includes('promote'));
    expect(promoting.length).toBeGreaterThan(0);
    for (const row of promoting) {
      expect(row.from).toEqual(['protected']);
      expect(row.actions.indexOf('askArbiter')).toBeLessThan(row.actions.indexOf('promote'));
      expect(row.actions).toContain('askArbiter');
    }
  });

  it('keeps output held when the backup is lost', () => {
    for (const from of ['syncing', 'protected'] as const) {
      const row = rowFor('primary', from, 'peerLost');
      expect(row?.to).toBe('degraded');
      expect(row?.actions).toContain('keepHeld');
      expect(row?.actions).not.toContain('releaseOutput');
    }
  });
});
