/** When a domain is looked at: at once when something may have changed, and again after a while when it must be. */
import { RECOVERY_DELAY_MS_MAX, RECOVERY_DELAY_MS_MIN, RECOVERY_WAIT_MS_MAX } from '../limits.js';

export class Attention {
  #queued = false;
  #closed = false;
  #timer: NodeJS.Timeout | undefined;
  /** Between looks while something is waited for. */
  #waitMs = RECOVERY_DELAY_MS_MIN;
  /** Between tries. */
  #delayMs = RECOVERY_DELAY_MS_MIN;
  #notBeforeMs = 0;

  constructor(
    /** Takes its turn among what else is done with the domain. */
    private readonly look: () => Promise<void>,
    private readonly onFailed: (error: unknown) => void,
  ) {}

  /** Nothing is looked at any more. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  /** Something may have changed. Calls that come before its turn are one. */
  lookSoon(): void {
    if (this.#queued || this.#closed) return;
    this.#queued = true;
    this.look().catch((error: unknown) => {
      this.onFailed(error);
      this.#lookIn(this.#backOff());
    });
  }

  /** To be called first by what looks: what changes from now on is looked at once more. */
  begin(): void {
    this.#queued = false;
    clearTimeout(this.#timer);
  }

  /** What is waited for is another thing now. */
  waitAnew(): void {
    this.#waitMs = RECOVERY_DELAY_MS_MIN;
  }

  lookAgain(): void {
    this.#lookIn(this.#waitMs);
    this.#waitMs = Math.min(this.#waitMs * 2, RECOVERY_WAIT_MS_MAX);
  }

  /** Whether a try may begin; what failed at once would fail again at once, and is looked at later. */
  mayTry(): boolean {
    const earlyMs = this.#notBeforeMs - performance.now();
    if (earlyMs > 0) this.#lookIn(earlyMs);
    else this.#notBeforeMs = performance.now() + this.#backOff();
    return earlyMs <= 0;
  }

  /** A try came to a good end. */
  succeeded(): void {
    this.#delayMs = RECOVERY_DELAY_MS_MIN;
  }

  #lookIn(delayMs: number): void {
    clearTimeout(this.#timer);
    if (!this.#closed) this.#timer = setTimeout(() => this.lookSoon(), delayMs);
  }

  /** Milliseconds until the next try. */
  #backOff(): number {
    const delayMs = this.#delayMs;
    this.#delayMs = Math.min(delayMs * 2, RECOVERY_DELAY_MS_MAX);
    return delayMs;
  }
}
