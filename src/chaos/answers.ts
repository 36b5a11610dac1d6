/** What the workload’s answers looked like over time, in slices, and which writes were answered. Pure. */
import { SLICE_MS } from './limits.js';

export interface AnswerSlice {
  /** Date.now() at its beginning. */
  atMs: number;
  answers: number;
  slowestMs: number;
}

export class AnswerSlices {
  readonly #open = new Map<number, AnswerSlice>();

  add(nowMs: number, latencyMs: number): void {
    const atMs = Math.floor(nowMs / SLICE_MS) * SLICE_MS;
    const slice = this.#open.get(atMs) ?? { atMs, answers: 0, slowestMs: 0 };
    slice.answers += 1;
    slice.slowestMs = Math.max(slice.slowestMs, latencyMs);
    this.#open.set(atMs, slice);
  }

  /** Slices that no answer can be added to any more; each once. */
  takeClosed(nowMs: number): AnswerSlice[] {
    const closed = [...this.#open.values()].filter(({ atMs }) => atMs + SLICE_MS <= nowMs);
    for (const { atMs } of closed) this.#open.delete(atMs);
    return closed;
  }
}

/** What is remembered of each key: the number of the newest write to it that was answered. */
export class AnsweredWrites {
  readonly #newest = new Map<string, number>();
  #count = 0;

  get count(): number {
    return this.#count;
  }

  answered(key: string, turn: number): void {
    this.#count += 1;
    this.#newest.set(key, Math.max(turn, this.#newest.get(key) ?? 0));
  }

  /** A moment’s keys: what is answered later does not change it. */
  snapshot(): [key: string, turn: number][] {
    return [...this.#newest];
  }
}

/** A key holds the number of its newest write; one that was not answered may be there or not. */
export function isThere(found: string | null | undefined, answered: number): boolean {
  return found != null && Number(found) >= answered;
}
