/**
 * What happened to the domains of a host, for operators: the names, the shape of one event, its line in the
 * file. Pure.
 *
 * An event is a line of the log that an operator wants to find again; the same name means the same thing in both.
 */
import { z } from 'zod';
import type { Role } from '../../failover/states.js';
import { EVENT_LINE_BYTES_MAX } from '../limits.js';
import type { LogEvent } from '../log.js';
import type { Reason } from '../status.js';

/** By name: who writes it, and what it means. docs/cli.md lists them. */
export const EVENT_KINDS = {
  'agent-up': { by: 'agent', meaning: 'The agent of this host answers.' },
  'agent-down': { by: 'agent', meaning: 'The agent was asked to end; sessions go on.' },
  'session-up': { by: 'agent', meaning: 'A session process was started for the domain.' },
  'session-found': {
    by: 'agent',
    meaning: 'An agent that started goes on with a session of the one before it.',
  },
  'session-ended': {
    by: 'agent',
    meaning: 'A session process is gone; `orderly` says whether it had been asked to.',
  },
  recovery: {
    by: 'agent',
    meaning: 'The agent does something about a domain by itself: which `step`.',
  },
  'domain-yielded': { by: 'agent', meaning: 'The domain belongs to the other host now.' },
  'domain-claimed': {
    by: 'agent',
    meaning: 'The other host agrees that the domain is this one’s.',
  },
  'state-changed': {
    by: 'session',
    meaning: '`from` one state `to` another, `on` which event, `because`.',
  },
  'sync-done': { by: 'session', meaning: 'All memory is on the backup; output is held from now.' },
  takeover: { by: 'session', meaning: 'A promotion with its figures, or why it failed.' },
  'backup-lost': { by: 'session', meaning: 'The way to the backup ended.' },
  'heartbeat-path-down': {
    by: 'session',
    meaning: 'Nothing is heard of the other host at one `address`; its other paths carry on.',
  },
  'heartbeat-path-up': { by: 'session', meaning: 'It is heard there again.' },
  'devices-changed': { by: 'session', meaning: 'A device was plugged in or out.' },
  'hold-trouble': {
    by: 'session',
    meaning: 'The output hold overflowed, a tap failed, or a part of the hold was taken away.',
  },
  'mirror-trouble': { by: 'session', meaning: 'A disk’s mirror broke.' },
  'fault-planted': { by: 'session', meaning: 'A promise will be broken on purpose (tests only).' },
} as const satisfies Partial<Record<LogEvent, { by: Writer; meaning: string }>>;

export type EventName = keyof typeof EVENT_KINDS;
export type Writer = 'agent' | 'session';

/** One event. Which further facts it has depends on its name. */
export interface EventRecord {
  /** ISO 8601, of the host's clock. */
  time: string;
  /** Absent when the event is the agent's own. */
  domain?: string;
  role?: Role;
  /** One of the names above; newer versions may know more. */
  event: string;
  /** Of `state-changed`: the states before and after. */
  from?: string;
  to?: string;
  /** Of `state-changed`: what happened, and why that leads to the new state. */
  on?: string;
  because?: string;
  reason?: Reason;
  /** The line would have been too long: further facts are left out and texts are cut. */
  cut?: true;
  [fact: string]: unknown;
}

/** Which events are asked for. */
export interface EventFilter {
  domain?: string | undefined;
  /** Milliseconds since 1970. */
  sinceMs?: number | undefined;
}

const text = z.string();
const recordSchema = z.looseObject({
  time: text,
  domain: text.optional(),
  role: z.enum(['primary', 'backup']).optional(),
  event: text,
  from: text.optional(),
  to: text.optional(),
  on: text.optional(),
  because: text.optional(),
  reason: z.object({ code: text, message: text, remedy: text }).optional(),
});

/** Whether `writer` keeps what is logged under that name as an event. */
export function isEvent(name: string, writer: Writer): name is EventName {
  return Object.hasOwn(EVENT_KINDS, name) && EVENT_KINDS[name as EventName].by === writer;
}

/** What is logged, as an event. A reason that is a mere sentence becomes `detail`. */
export function eventOf(
  event: EventName,
  facts: object,
  time: Date,
  base: Pick<EventRecord, 'domain' | 'role'> = {},
): EventRecord {
  const { reason, ...others } = facts as { reason?: unknown };
  const why = typeof reason === 'string' ? { detail: reason } : { reason };
  return {
    time: time.toISOString(),
    ...base,
    event,
    ...others,
    ...(reason === undefined ? {} : (why as Partial<EventRecord>)),
  };
}

/** One line, with its end, of at most `EVENT_LINE_BYTES_MAX` bytes. */
export function eventLine(record: EventRecord): string {
  const whole = `${JSON.stringify(record, (_key, value: unknown) => jsonable(value))}\n`;
  if (Buffer.byteLength(whole) <= EVENT_LINE_BYTES_MAX) return whole;
  const { time, domain, role, event, from, to, on, reason } = record;
  const kept = { time, domain, role, event, from, to, on, reason: reason && shortened(reason) };
  return `${JSON.stringify({ ...kept, cut: true })}\n`;
}

/** Undefined for what is no event: a line that a full disk cut off, or no line at all. */
export function parseEvent(line: string): EventRecord | undefined {
  try {
    const parsed = recordSchema.safeParse(JSON.parse(line));
    return parsed.success ? (parsed.data as EventRecord) : undefined;
  } catch {
    return undefined;
  }
}

export function matches(record: EventRecord, { domain, sinceMs }: EventFilter): boolean {
  if (domain !== undefined && record.domain !== domain) return false;
  return sinceMs === undefined || Date.parse(record.time) >= sinceMs;
}

function jsonable(value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}

/** JSON writes a character in at most six bytes, and a domain's name has at most 255 of them. */
function shortened({ code, message, remedy }: Reason): Reason {
  return { code: code.slice(0, 40), message: message.slice(0, 180), remedy: remedy.slice(0, 120) };
}
