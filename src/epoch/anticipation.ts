/**
 * Whether a checkpoint should begin when somebody asks the guest something, before it answers. Pure.
 *
 * Most guests answer sooner than libvirt and QEMU can stop them, so the answer is in that checkpoint and leaves
 * earlier by the time it took to be made. Where answers come later (or never: data that is only taken in), such a
 * checkpoint is for nothing, and the answer waits for one more.
 */
import {
  ANTICIPATION_MEAN_OVER,
  ANTICIPATION_RETRY_EPOCHS,
  ANTICIPATION_WORTHWHILE,
} from './limits.js';

export class Anticipation {
  /** Part of the anticipated checkpoints that had output, lately. */
  #answered = 1;
  #passedOver = 0;

  /** Asked once for each checkpoint to come. */
  isWorthwhile(): boolean {
    if (this.#answered >= ANTICIPATION_WORTHWHILE) return true;
    this.#passedOver += 1;
    if (this.#passedOver < ANTICIPATION_RETRY_EPOCHS) return false;
    this.#passedOver = 0;
    return true;
  }

  /** A checkpoint began at a question; `answered`: output was in it. */
  learn(answered: boolean): void {
    this.#answered += ((answered ? 1 : 0) - this.#answered) / ANTICIPATION_MEAN_OVER;
  }
}
