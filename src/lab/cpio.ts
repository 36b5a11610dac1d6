/**
 * Writes cpio archives in the format that the kernel unpacks as its initramfs ("newc";
 * Documentation/driver-api/early-userspace/buffer-format.rst). Archives may be appended to one
 * another: a later one adds to, and replaces, what an earlier one brought.
 */
import { open, readFile } from 'node:fs/promises';
import { posix } from 'node:path';

/** Bytes given here, or the content of a file, read when the archive is written. */
export type CpioSource = { text: string } | { path: string };

interface Entry {
  mode: number;
  source: CpioSource | undefined;
}

const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;
/** Between two archives the kernel skips zero bytes up to a multiple of this. */
const ALIGN_BYTES = 4;
const EMPTY = Buffer.alloc(0);
const TRAILER = 'TRAILER!!!';

export class CpioArchive {
  readonly #entries = new Map<string, Entry>();

  /** An empty directory and every directory above it. `path` is absolute, inside the initramfs. */
  addDirectory(path: string): void {
    if (path === '/' || this.#entries.has(path)) return;
    // The kernel makes no parents by itself, so they come first.
    this.addDirectory(posix.dirname(path));
    this.#entries.set(path, { mode: S_IFDIR | 0o755, source: undefined });
  }

  /** A file that everybody may run; one that has this path already is replaced. */
  addFile(path: string, source: CpioSource): void {
    this.addDirectory(posix.dirname(path));
    this.#entries.set(path, { mode: S_IFREG | 0o755, source });
  }

  /** Appends the archive to the file at `path`. @throws when a source cannot be read, or writing fails */
  async appendTo(path: string): Promise<void> {
    const file = await open(path, 'a');
    try {
      for (const [name, { mode, source }] of this.#entries) {
        const content = source === undefined ? EMPTY : await bytesOf(source);
        await file.appendFile(header(name.slice(1), mode, content.length));
        await file.appendFile(content);
        await file.appendFile(padding(content.length));
      }
      await file.appendFile(header(TRAILER, 0, 0));
    } finally {
      await file.close();
    }
  }
}

async function bytesOf(source: CpioSource): Promise<Buffer> {
  return 'text' in source ? Buffer.from(source.text) : readFile(source.path);
}

function header(name: string, mode: number, bytes: number): Buffer {
  const nameBytes = Buffer.byteLength(name) + 1;
  // inode, mode, uid, gid, links, time, size, device ×2, special device ×2, name, checksum
  const fields = [0, mode, 0, 0, 1, 0, bytes, 0, 0, 0, 0, nameBytes, 0];
  const text = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}${name}\0`;
  return Buffer.concat([Buffer.from(text), padding(Buffer.byteLength(text))]);
}

function padding(bytes: number): Buffer {
  return Buffer.alloc((ALIGN_BYTES - (bytes % ALIGN_BYTES)) % ALIGN_BYTES);
}
