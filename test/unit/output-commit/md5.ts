/** In place of the native XXH3-128: 32 hex digits as well, and nothing but Node behind it. */
import { createHash } from 'node:crypto';
import type { NativeHasher } from '../../../src/native.js';

export class Md5 implements NativeHasher {
  readonly #hash = createHash('md5');

  update(bytes: Buffer): void {
    this.#hash.update(bytes);
  }

  digest(): string {
    return this.#hash.digest('hex');
  }
}
