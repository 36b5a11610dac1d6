/**
 * A mirror target to speak NBD with: two small disks, remembering, so that what a client wrote is
 * read back and the rest reads as zeroes.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { vi } from 'vitest';
import { type NativeMirrorTarget, type NativeMirrorTrouble, native } from '../../../src/native.js';

export const DISKS = [
  { name: 'vda', bytes: 64 << 20 },
  { name: 'vdb', bytes: (1 << 20) + 512 },
] as const;
export const FREEZE_MS_MAX = 2000;

export class NbdTarget {
  readonly #directory: string;
  readonly troubles: NativeMirrorTrouble[];
  readonly target: NativeMirrorTarget;
  readonly socketPath: string;

  private constructor(
    directory: string,
    target: NativeMirrorTarget,
    troubles: NativeMirrorTrouble[],
  ) {
    this.#directory = directory;
    this.target = target;
    this.troubles = troubles;
    this.socketPath = join(directory, 'nbd.sock');
  }

  static async open(): Promise<NbdTarget> {
    const directory = mkdtempSync(join(tmpdir(), 'understudy-nbd-'));
    const troubles: NativeMirrorTrouble[] = [];
    const target = await openTarget(directory, (trouble) => troubles.push(trouble));
    remembering(target);
    return new NbdTarget(directory, target, troubles);
  }

  uri(disk: string): string {
    return `nbd+unix:///${disk}?socket=${this.socketPath}`;
  }

  /** Waits until a trouble of that kind whose reason contains `text` has been told. */
  async told(kind: NativeMirrorTrouble['kind'], text: string): Promise<void> {
    await vi.waitFor(() => {
      const found = this.troubles.some((told) => told.kind === kind && told.reason.includes(text));
      if (!found) throw new Error(`no "${text}" in ${JSON.stringify(this.troubles)}`);
    }, 2000);
  }

  async close(): Promise<void> {
    await this.target.close();
    rmSync(this.#directory, { recursive: true });
  }
}

/** A target with its socket, `nbd.sock`, and its files in `directory`. */
export function openTarget(
  directory: string,
  onTrouble: (trouble: NativeMirrorTrouble) => void,
): Promise<NativeMirrorTarget> {
  return native.disks.openMirrorTarget({
    socketPath: join(directory, 'nbd.sock'),
    ownerUid: 0,
    disks: DISKS,
    memoryBytesMax: 16 << 20,
    spillDirectory: directory,
    spillBytesMax: 64 << 20,
    rememberBytesMax: 256 << 20,
    freezeMsMax: FREEZE_MS_MAX,
    onTrouble,
  });
}

function remembering(target: NativeMirrorTarget): void {
  for (const disk of DISKS.keys()) target.setKnown(disk, { content: 'zeroes' });
  target.ship(1);
  target.complete();
  target.remember();
}
