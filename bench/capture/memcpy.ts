/**
 * The floor of a pause: a plain memcpy of as many bytes as the pause copies, in the same rhythm.
 *
 * One copy per epoch, from bytes that were written a moment ago to a buffer that was last used one
 * epoch ago, as a guest's pages and our staging are. The same two buffers copied over and over, with nothing
 * in between, stay in the processor's cache and are about twice as fast; that is printed beside it.
 */
const PAGE_BYTES = 4096;

export class MemcpyFloor {
  readonly samplesUs: number[] = [];
  #source = Buffer.alloc(0);
  #target = Buffer.alloc(0);

  /** Takes one sample of `pages` pages; the first of a size only makes the buffers. */
  sample(pages: number): void {
    const bytes = pages * PAGE_BYTES;
    if (this.#source.length < bytes) {
      this.#source = Buffer.alloc(bytes, 1);
      this.#target = Buffer.alloc(bytes, 2);
      return;
    }
    this.#source.fill(this.samplesUs.length & 0xff);
    const from = this.#source.subarray(0, bytes);
    const startNs = process.hrtime.bigint();
    // One memmove in V8's runtime, without bounds left to check.
    this.#target.set(from);
    this.samplesUs.push(Number(process.hrtime.bigint() - startNs) / 1000);
  }
}
