/** The acknowledgements of the backup: who waits for which epoch. At most one is ever awaited. */
import { wireError } from '../wire/errors.js';

export class Commits {
  #committed = 0;
  #waiting: { epoch: number; resolve: () => void; reject: (error: Error) => void } | undefined;
  #failure: Error | undefined;

  get committed(): number {
    return this.#committed;
  }

  /** Resolves when `epoch` is committed; rejects when the connection is lost before. */
  wait(epoch: number): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#committed >= epoch) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiting = { epoch, resolve, reject };
    });
  }

  /** The backup says that it holds `epoch` whole; anything but the awaited one breaks the protocol. */
  acknowledge(epoch: number): void {
    if (this.#waiting?.epoch !== epoch) {
      throw wireError('WIRE_UNEXPECTED', `commit of epoch ${epoch}, which is not awaited`);
    }
    this.#committed = epoch;
    const { resolve } = this.#waiting;
    this.#waiting = undefined;
    resolve();
  }

  fail(error: Error): void {
    this.#failure ??= error;
    this.#waiting?.reject(error);
    this.#waiting = undefined;
  }
}
