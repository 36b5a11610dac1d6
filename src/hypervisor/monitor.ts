/**
 * The monitor's language: QMP requests and replies, HMP replies, and the bound on every wait.
 *
 * libvirt has no time limit for monitor commands, so each is raced with a timer. A call that
 * lost the race stays with libvirt; its late answer is ignored, never acted on.
 */
import { z } from 'zod';
import { messageOf } from '../errors.js';
import type { NativePreparedCall } from '../native.js';
import { hypervisorError } from './errors.js';
import { MONITOR_REPLY_BYTES_MAX } from './limits.js';

/** virDomainQemuMonitorCommandFlags */
export const MONITOR_QMP = 0;
export const MONITOR_HMP = 1;

/** What a call is about, for messages. */
export interface CallNames {
  operation: string;
  domain?: string;
}

/** A command that is not sent yet; not bounded in time once it is. */
export interface PreparedQmp extends NativePreparedCall {
  /** Rejects as `qmp` does, and when it was cancelled. */
  readonly returned: Promise<unknown>;
}

/** A way to QEMU's monitor: through libvirt, or past it. */
export interface MonitorPath {
  /** @throws HYP_QMP_FAILED, HYP_MONITOR_TIMED_OUT, and what ends the way */
  qmp(
    command: string,
    args?: Readonly<Record<string, unknown>>,
    timeoutMs?: number,
  ): Promise<unknown>;
  /** A command that is sent when its trigger fires. Must be fired or cancelled in the end. */
  prepareQmp(command: string, args: Readonly<Record<string, unknown>>): PreparedQmp;
}

const replySchema = z.union([
  z.object({ error: z.object({ class: z.string(), desc: z.string() }) }),
  z.object({ return: z.unknown() }),
]);

/** For a call whose end something else watches over. */
export const UNBOUNDED_MS = Number.POSITIVE_INFINITY;

/** @throws HYP_MONITOR_TIMED_OUT when `call` has not settled after `timeoutMs` */
export async function bounded<T>(
  call: Promise<T>,
  timeoutMs: number,
  names: CallNames,
): Promise<T> {
  if (timeoutMs === UNBOUNDED_MS) return call;
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(
        hypervisorError(
          'HYP_MONITOR_TIMED_OUT',
          `${names.operation} was not answered within ${timeoutMs} ms`,
          { ...names, facts: { timeoutMs } },
        ),
      );
    }, timeoutMs);
  });
  try {
    return await Promise.race([call, expired]);
  } finally {
    clearTimeout(timer);
  }
}

export function qmpRequest(command: string, args?: Readonly<Record<string, unknown>>): string {
  return JSON.stringify(
    args === undefined ? { execute: command } : { execute: command, arguments: args },
  );
}

/** @throws HYP_QMP_FAILED with QEMU's words, HYP_MONITOR_BAD_REPLY */
export function qmpReturn(reply: string, names: CallNames): unknown {
  const parsed = replySchema.safeParse(parseJson(reply, names));
  if (!parsed.success) throw badReply(names, 'neither a return nor an error');
  if ('error' in parsed.data) {
    const { class: errorClass, desc } = parsed.data.error;
    throw hypervisorError('HYP_QMP_FAILED', `${names.operation}: ${desc}`, {
      ...names,
      facts: { errorClass, description: desc },
    });
  }
  return parsed.data.return;
}

/** Reads a reply by `schema`. @throws HYP_MONITOR_BAD_REPLY */
export function readReply<T>(schema: z.ZodType<T>, value: unknown, names: CallNames): T {
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw badReply(names, z.prettifyError(parsed.error));
  return parsed.data;
}

function parseJson(reply: string, names: CallNames): unknown {
  if (reply.length > MONITOR_REPLY_BYTES_MAX) throw badReply(names, `${reply.length} bytes long`);
  try {
    return JSON.parse(reply);
  } catch (error) {
    throw badReply(names, messageOf(error));
  }
}

function badReply(names: CallNames, why: string) {
  return hypervisorError(
    'HYP_MONITOR_BAD_REPLY',
    `unexpected reply to ${names.operation}: ${why}`,
    {
      ...names,
    },
  );
}
