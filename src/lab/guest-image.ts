/** The guest's kernel and initramfs; script/build-guest-image makes and names them. */
import { fileURLToPath } from 'node:url';
import { runCommand } from './command.js';
import { IMAGE_BUILD_TIMEOUT_MS } from './limits.js';

export interface GuestImage {
  kernel: string;
  initrd: string;
}

/** Builds the image when it is missing or stale; 30 ms when it is there. @throws LAB_COMMAND_FAILED */
export async function guestImage(): Promise<GuestImage> {
  const script = fileURLToPath(new URL('../../script/build-guest-image', import.meta.url));
  const { stdout } = await runCommand(script, [], { timeoutMs: IMAGE_BUILD_TIMEOUT_MS });
  const directory = stdout.trim();
  return { kernel: `${directory}/vmlinuz`, initrd: `${directory}/initrd.img` };
}
