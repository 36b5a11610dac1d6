/** One event: what becomes one, its line, and how it is read again. */
import { describe, expect, it } from 'vitest';
import {
  EVENT_KINDS,
  type EventRecord,
  eventLine,
  eventOf,
  isEvent,
  matches,
  parseEvent,
} from '../../../src/agent/events/events.js';
import { EVENT_LINE_BYTES_MAX } from '../../../src/agent/limits.js';
import { LOG_EVENTS } from '../../../src/agent/log.js';

const TIME = new Date('2026-11-22T00:00:00.000Z');
const reason = { code: 'WIRE_CLOSED', message: 'hung up', remedy: 'Look there.' };
const change: EventRecord = {
  time: TIME.toISOString(),
  domain: 'web1',
  role: 'primary',
  event: 'state-changed',
  from: 'protected',
  to: 'degraded',
  on: 'peerLost',
  because: 'The backup may be dead.',
  reason,
};

describe('what is an event', () => {
  it('is named as in the log', () => {
    const logged = new Set<string>(Object.values(LOG_EVENTS));
    expect(Object.keys(EVENT_KINDS).filter((name) => !logged.has(name))).toEqual([]);
  });

  it('is written by one side only: both log that a session is up', () => {
    expect(isEvent('session-up', 'agent')).toBe(true);
    expect(isEvent('session-up', 'session')).toBe(false);
    expect(isEvent('state-changed', 'session')).toBe(true);
    expect(isEvent('epoch', 'session')).toBe(false);
    expect(isEvent('constructor', 'session')).toBe(false);
  });

  it('keeps a reason with a code, and makes a mere sentence a detail', () => {
    const base = { domain: 'web1', role: 'primary' } as const;
    expect(eventOf('backup-lost', { reason }, TIME, base)).toEqual({
      time: TIME.toISOString(),
      ...base,
      event: 'backup-lost',
      reason,
    });
    expect(eventOf('hold-trouble', { tap: 'vnet0', reason: 'gone' }, TIME, base)).toMatchObject({
      tap: 'vnet0',
      detail: 'gone',
    });
  });
});

describe('its line', () => {
  it('is read again as it was', () => {
    expect(parseEvent(eventLine(change))).toEqual(change);
    expect(eventLine(change).indexOf('\n')).toBe(eventLine(change).length - 1);
  });

  it('has a bound: facts are left out, texts are cut, the rest stays an event', () => {
    const long = 'é"\u0001'.repeat(3_000);
    const line = eventLine({
      ...change,
      domain: '\u0001'.repeat(255),
      reason: { code: 'WIRE_CLOSED', message: long, remedy: long },
      facts: long,
    });
    expect(Buffer.byteLength(line)).toBeLessThanOrEqual(EVENT_LINE_BYTES_MAX);
    const read = parseEvent(line);
    expect(read).toMatchObject({ from: 'protected', to: 'degraded', on: 'peerLost', cut: true });
    expect(read?.reason?.code).toBe('WIRE_CLOSED');
    expect(read).not.toHaveProperty('facts');
  });

  it('can hold a bigint', () => {
    expect(parseEvent(eventLine({ ...change, bytes: 12n }))).toMatchObject({ bytes: '12' });
  });

  it.each([
    '',
    '{"time":"2026-',
    'null',
    '[]',
    '{"event":"x"}',
    '{"time":"t","event":"x","role":"king"}',
  ])('is none: %j', (line) => {
    expect(parseEvent(line)).toBeUndefined();
  });
});

it('is asked for by domain and time', () => {
  expect(matches(change, {})).toBe(true);
  expect(matches(change, { domain: 'web2' })).toBe(false);
  expect(matches({ ...change, domain: undefined } as never, { domain: 'web1' })).toBe(false);
  expect(matches(change, { sinceMs: TIME.getTime() })).toBe(true);
  expect(matches(change, { sinceMs: TIME.getTime() + 1 })).toBe(false);
});
