/**
 * One held tap's layout while the hold lasts: the native side looks at it whenever the kernel tells of a
 * change, and stops all releases when a part is missing; here it is put back and told. Releases go on
 * only when the native side has seen for itself that all is in place.
 */
import { deferred } from '../deferred.js';
import { messageOf, type UnderstudyError } from '../errors.js';
import type { NativeTapHolder } from '../native.js';
import { holdError } from './errors.js';
import { REPAIR_ATTEMPTS_MAX } from './limits.js';
import type { HoldTrouble } from './output-hold.js';
import type { PortRecord } from './port-record.js';
import type { SplitPort } from './tap-layout.js';
import { repairHeldLayout, silence } from './tap-repair.js';

export class HeldLayout {
  #taps: NativeTapHolder | undefined;
  #repair: Promise<void> = Promise.resolve();
  #failed = false;
  readonly #lost = deferred<never>();

  constructor(
    private readonly port: SplitPort,
    private readonly record: PortRecord,
    private readonly tell: (trouble: HoldTrouble) => void,
  ) {
    // Whoever waits for a release hears of it; without one it is told as trouble.
    this.#lost.promise.catch(() => undefined);
  }

  /** The layout is in place from now on. @throws HOLD_LOST when it is not */
  watch(taps: NativeTapHolder): void {
    taps.watchTap(true);
    this.#taps = taps;
  }

  /** What the native side tells. */
  onTrouble(trouble: HoldTrouble): void {
    const taps = this.#taps;
    if (trouble.kind === 'tap-failed') {
      if (this.#failed) return;
      this.#failed = true;
    }
    if (trouble.kind !== 'unheld' || taps === undefined) this.tell(trouble);
    else this.#repair = this.#repair.then(() => this.#putBack(taps, trouble));
  }

  /** Settles as `release` does, or rejects with HOLD_LOST when output cannot be held again. */
  orLost(release: Promise<number>): Promise<number> {
    return Promise.race([release, this.#lost.promise]);
  }

  /** The hold takes the layout off itself. */
  async leave(taps: NativeTapHolder): Promise<void> {
    this.#taps = undefined;
    await this.#repair;
    taps.watchTap(false);
  }

  async #putBack(taps: NativeTapHolder, trouble: HoldTrouble): Promise<void> {
    let refusal: unknown;
    for (let attempt = 0; attempt < REPAIR_ATTEMPTS_MAX; attempt++) {
      try {
        await repairHeldLayout(this.port, this.record);
        taps.watchTap(true);
        this.tell(trouble);
        return;
      } catch (failure) {
        refusal = failure;
      }
    }
    await this.#giveUp(trouble, refusal);
  }

  async #giveUp(trouble: HoldTrouble, refusal: unknown): Promise<void> {
    const reason = `${trouble.reason}; it cannot be put back: ${messageOf(refusal)}`;
    const end = (rest: string): void => {
      const lost: UnderstudyError = holdError('HOLD_LOST', reason + rest, { cause: refusal });
      this.#lost.reject(lost);
      this.onTrouble({ kind: 'tap-failed', reason: lost.message });
    };
    await silence(this.port).then(
      () => end(`; ${this.port.tap} is set down`),
      (failure: unknown) => end(`; setting it down failed too: ${messageOf(failure)}`),
    );
  }
}
