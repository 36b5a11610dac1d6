/** What the client's one conversation with Redis looked like from outside. Pure. */

export interface ConversationReport {
  ackedWrites: number;
  /** Longest time between two answers since `mark`, and when it began and ended (CLOCK_MONOTONIC ms). */
  gapMs: number;
  gapFromMs: number;
  gapToMs: number;
}

export class Conversation {
  #acked = 0;
  #lastAnswerMs: number | undefined;
  #gap = { fromMs: 0, toMs: 0 };

  /** From here on gaps count. */
  mark(): void {
    this.#gap = { fromMs: 0, toMs: 0 };
  }

  answered(nowMs: number): void {
    this.#acked += 1;
    const fromMs = this.#lastAnswerMs ?? nowMs;
    if (nowMs - fromMs > this.#gap.toMs - this.#gap.fromMs) this.#gap = { fromMs, toMs: nowMs };
    this.#lastAnswerMs = nowMs;
  }

  report(): ConversationReport {
    const { fromMs, toMs } = this.#gap;
    return { ackedWrites: this.#acked, gapMs: toMs - fromMs, gapFromMs: fromMs, gapToMs: toMs };
  }
}
