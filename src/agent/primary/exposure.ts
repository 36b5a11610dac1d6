/** What left unheld because somebody took a part of the output hold away, until a checkpoint covers it. */
import type { HoldTrouble } from '../../netbuffer/output-hold.js';
import { agentError } from '../errors.js';
import { type Reason, reasonOf } from '../status.js';

export interface ExposureListener {
  onUnheld(reason?: Reason): void;
  onCovered(): void;
}

export class Exposure {
  #trouble: string | undefined;
  /** How often output was found unheld, and up to which of these a checkpoint covers what left. */
  #unheld = 0;
  #covered = 0;

  constructor(private readonly listener: ExposureListener) {}

  /** The last trouble of the output hold, for people. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  onTrouble(tap: string, { kind, reason }: HoldTrouble): void {
    this.#trouble = `${tap}: ${kind}: ${reason}`;
    if (kind !== 'unheld') return;
    this.#unheld += 1;
    this.listener.onUnheld(reasonOf(agentError('AGENT_OUTPUT_UNHELD', `${tap}: ${reason}`)));
  }

  /** The first commit may be older than what left meanwhile. */
  onFirstCommit(): void {
    if (this.#unheld > this.#covered) this.listener.onUnheld();
  }

  /** `checkpoint` resolves when a checkpoint that begins now is committed: what left until now is covered then. */
  coverBy(checkpoint: Promise<number> | undefined): void {
    const unheld = this.#unheld;
    const covered = (): void => {
      if (unheld !== this.#unheld) return;
      this.#covered = unheld;
      this.listener.onCovered();
    };
    // That it never came is the attempt's failure.
    checkpoint?.then(covered, () => undefined);
  }
}
