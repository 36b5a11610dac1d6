/** Payload buffers that are used again: large chunks would otherwise be allocated and zeroed by the kernel for every frame. */

/** Smaller payloads are not worth keeping. */
const POOLED_BYTES_MIN = 256 * 1024;

export class BufferPool {
  readonly #free: Buffer[] = [];

  /** Keeps at most `buffersMax` buffers of `bufferBytes`. */
  constructor(
    private readonly bufferBytes: number,
    private readonly buffersMax: number,
  ) {}

  allocate(bytes: number): Buffer {
    if (bytes < POOLED_BYTES_MIN || bytes > this.bufferBytes) return Buffer.allocUnsafeSlow(bytes);
    const buffer = this.#free.pop() ?? Buffer.allocUnsafeSlow(this.bufferBytes);
    return buffer.subarray(0, bytes);
  }

  recycle(buffer: Buffer): void {
    if (buffer.buffer.byteLength !== this.bufferBytes || this.#free.length >= this.buffersMax)
      return;
    this.#free.push(Buffer.from(buffer.buffer));
  }
}
