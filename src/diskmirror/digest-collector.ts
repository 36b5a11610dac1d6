/** Waits for the digests of a replica's blocks and hands each part on; bounded by silence. */
import { wireError } from '../wire/errors.js';
import { blockCount, type DigestPart } from './digest-frames.js';
import { DIGESTS_SILENCE_MS_MAX } from './limits.js';
import { DIGEST_BYTES } from './resync-plan.js';

export interface ExpectedDigests {
  disk: number;
  diskBytes: number;
  blockBytes: number;
}

export class DigestCollector {
  /** By disk: the next block, and how many there are. */
  readonly #open: Map<number, { next: number; count: number }>;
  #settle: { resolve: () => void; reject: (error: Error) => void } | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    expected: readonly ExpectedDigests[],
    private readonly onPart: (part: DigestPart) => void,
  ) {
    this.#open = new Map(
      expected.map(({ disk, diskBytes, blockBytes }) => [
        disk,
        { next: 0, count: blockCount(diskBytes, blockBytes) },
      ]),
    );
  }

  /** Resolves when every block's digest has come. @throws WIRE_TIMED_OUT */
  wait(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
      this.#watchSilence();
    });
  }

  /** @throws WIRE_UNEXPECTED for a part that was not asked for or is out of order */
  add(part: DigestPart): void {
    const open = this.#open.get(part.disk);
    const count = part.digests.length / DIGEST_BYTES;
    if (open === undefined || part.firstBlock !== open.next || open.next + count > open.count) {
      throw wireError('WIRE_UNEXPECTED', `digests of disk ${part.disk} from ${part.firstBlock} on`);
    }
    this.onPart(part);
    open.next += count;
    if (open.next === open.count) this.#open.delete(part.disk);
    if (this.#open.size > 0) this.#watchSilence();
    else this.#end(({ resolve }) => resolve());
  }

  fail(error: Error): void {
    this.#end(({ reject }) => reject(error));
  }

  #watchSilence(): void {
    clearTimeout(this.#timer);
    const message = `no digests for ${DIGESTS_SILENCE_MS_MAX} ms`;
    this.#timer = setTimeout(
      () => this.fail(wireError('WIRE_TIMED_OUT', message)),
      DIGESTS_SILENCE_MS_MAX,
    );
  }

  #end(action: (settle: { resolve: () => void; reject: (error: Error) => void }) => void): void {
    clearTimeout(this.#timer);
    const settle = this.#settle;
    this.#settle = undefined;
    if (settle !== undefined) action(settle);
  }
}
