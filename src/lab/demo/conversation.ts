/** What the client's one conversation with Redis looked like from outside. Pure. */
import { type Spread, spreadOf } from '../../epoch/records.js';

export interface ConversationReport {
  ackedWrites: number;
  /** Longest time between two answers since `mark`, and when it began and ended (CLOCK_MONOTONIC ms). */
  gapMs: number;
  gapFromMs: number;
  gapToMs: number;
}

/** The time between two answers that followed each other; CLOCK_MONOTONIC ms. */
export interface Wait {
  fromMs: number;
  toMs: number;
}

/** Answers that came within one slice of time. */
export interface Slice {
  /** CLOCK_MONOTONIC ms. */
  fromMs: number;
  answers: number;
  /** From the request to its answer; the slowest of the slice. */
  slowestMs: number;
}

export const SLICE_MS = 50;
/** Half an hour of conversation. */
const SLICES_MAX = 36_000;
/** Answers that are remembered one by one; more are counted only. */
const ANSWERS_MAX = 1_000_000;

interface Answer {
  atMs: number;
  latencyMs: number;
}

export class Conversation {
  #acked = 0;
  #lastAnswerMs: number | undefined;
  #gap: Wait = { fromMs: 0, toMs: 0 };
  readonly #answers: Answer[] = [];

  /** From here on gaps count. */
  mark(): void {
    this.#gap = { fromMs: 0, toMs: 0 };
  }

  answered(nowMs: number, latencyMs: number): void {
    this.#acked += 1;
    if (this.#answers.length < ANSWERS_MAX) this.#answers.push({ atMs: nowMs, latencyMs });
    const fromMs = this.#lastAnswerMs ?? nowMs;
    if (nowMs - fromMs > this.#gap.toMs - this.#gap.fromMs) this.#gap = { fromMs, toMs: nowMs };
    this.#lastAnswerMs = nowMs;
  }

  report(): ConversationReport {
    const { fromMs, toMs } = this.#gap;
    return { ackedWrites: this.#acked, gapMs: toMs - fromMs, gapFromMs: fromMs, gapToMs: toMs };
  }

  /** The longest that ended in that time; of length 0 when none did. */
  longestWait(fromMs: number, toMs: number): Wait {
    let longest: Wait = { fromMs, toMs: fromMs };
    for (const [index, { atMs }] of this.#answers.entries()) {
      const before = this.#answers[index - 1];
      if (before === undefined || atMs <= fromMs || atMs > toMs) continue;
      if (atMs - before.atMs > longest.toMs - longest.fromMs) {
        longest = { fromMs: before.atMs, toMs: atMs };
      }
    }
    return longest;
  }

  /** From a request to its answer, of the answers that came in that time; ms. */
  latency(fromMs: number, toMs: number): Spread {
    const within = this.#answers.filter(({ atMs }) => atMs >= fromMs && atMs < toMs);
    return spreadOf(within.map(({ latencyMs }) => latencyMs));
  }

  /** Slices that follow each other without a hole; one without an answer says so. */
  slices(fromMs: number, toMs: number): Slice[] {
    const count = Math.min(SLICES_MAX, Math.max(0, Math.ceil((toMs - fromMs) / SLICE_MS)));
    const slices = Array.from({ length: count }, (_, index) => ({
      fromMs: fromMs + index * SLICE_MS,
      answers: 0,
      slowestMs: 0,
    }));
    for (const { atMs, latencyMs } of this.#answers) {
      const slice = slices[Math.floor((atMs - fromMs) / SLICE_MS)];
      if (slice === undefined) continue;
      slice.answers += 1;
      slice.slowestMs = Math.max(slice.slowestMs, latencyMs);
    }
    return slices;
  }
}
