/** What client.c prints. Pure. */
import { benchError } from '../errors.js';

export interface ClosedLoop {
  perSecond: number;
  /** Of each command, µs. */
  latenciesUs: number[];
}

/** One number a line. @throws BENCH_PROGRAM_FAILED on anything else */
export function parseMicroseconds(text: string): number[] {
  return text.trimEnd().split('\n').map(numberOf);
}

/** "COUNT SECONDS", then one latency a line. @throws BENCH_PROGRAM_FAILED */
export function parseClosedLoop(text: string): ClosedLoop {
  const end = text.indexOf('\n');
  const latenciesUs = parseMicroseconds(text.slice(end + 1));
  return { perSecond: quotientOf(text.slice(0, end)), latenciesUs };
}

/** "BYTES SECONDS" as MB/s. @throws BENCH_PROGRAM_FAILED */
export function parseBulk(text: string): number {
  return quotientOf(text.trimEnd()) / 1e6;
}

export interface SpinTook {
  seconds: number;
  /** By the guest’s clock, which stands still in pauses. */
  guestSeconds: number;
}

/** "SECONDS ROUNDS GUEST_SECONDS BIT". @throws BENCH_PROGRAM_FAILED, also when the guest refused the rounds */
export function parseSpin(text: string): SpinTook {
  const [seconds = '', , guestSeconds = ''] = text.split(' ');
  return { seconds: numberOf(seconds), guestSeconds: numberOf(guestSeconds) };
}

function quotientOf(line: string): number {
  const [amount = '', seconds = ''] = line.split(' ');
  return numberOf(amount) / numberOf(seconds);
}

function numberOf(text: string): number {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text);
  throw benchError('BENCH_PROGRAM_FAILED', `client.c printed "${text}" where a number belongs`);
}
