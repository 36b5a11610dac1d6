/** What a disk's image says when nobody is asked about it: its file system, and how it compares. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { type CommandResult, runCommand } from './command.js';
import type { DiskFormat } from './disk-image.js';
import { DISK_CHECK_TIMEOUT_MS } from './limits.js';

export interface Image {
  path: string;
  format: DiskFormat;
}

export interface FsckReport {
  clean: boolean;
  /** What e2fsck printed. */
  output: string;
}

const patient = { timeoutMs: DISK_CHECK_TIMEOUT_MS };

/**
 * Whether the ext4 on an image is without fault, as a guest would find it that boots from it: the
 * journal is replayed first, as mounting does. The image itself is not changed.
 * @throws LAB_COMMAND_FAILED when it cannot be copied
 */
export function fsck(path: string, format: DiskFormat = 'raw'): Promise<FsckReport> {
  return withMountable({ path, format }, async (raw, replay) => {
    const check = await e2fsck('-fn', raw);
    return {
      clean: replay.exitCode === 0 && check.exitCode === 0,
      output: [replay, check].map(({ stdout, stderr }) => stdout + stderr).join(''),
    };
  });
}

/**
 * Calls `use` with a raw copy of the image whose ext4 journal is replayed: what a mount would show.
 * @throws LAB_COMMAND_FAILED when it cannot be copied
 */
export async function withMountable<T>(
  { path, format }: Image,
  use: (raw: string, replay: CommandResult) => Promise<T>,
): Promise<T> {
  const directory = await mkdtemp(`${tmpdir()}/understudy-disk-`);
  try {
    const raw = `${directory}/copy.raw`;
    // -U: also while a guest runs on it.
    const formats = ['-f', format, '-O', 'raw'];
    await runCommand('qemu-img', ['convert', '-U', ...formats, path, raw], patient);
    // Without -f: e2fsck(8) would then check and repair as well, and hide what is to be found.
    return await use(raw, await e2fsck('-y', '-E', 'journal_only', raw));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** The guest's view of both is the same, byte for byte. A guest that runs may write in between. */
export async function compareImages(
  a: Image,
  b: Image,
): Promise<{ identical: boolean; output: string }> {
  const formats = ['-f', a.format, '-F', b.format];
  const { exitCode, stdout } = await runCommand(
    'qemu-img',
    ['compare', '-U', ...formats, a.path, b.path],
    // qemu-img(1): 1 when the images differ.
    { ...patient, exitCodes: [0, 1] },
  );
  return { identical: exitCode === 0, output: stdout };
}

function e2fsck(...args: string[]): Promise<CommandResult> {
  // e2fsck(8): bits. 1 and 2 corrected, 4 errors left, 8 no file system it could work on.
  const exitCodes = Array.from({ length: 16 }, (_, code) => code);
  return runCommand('e2fsck', args, { ...patient, exitCodes });
}
