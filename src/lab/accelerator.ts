/**
 * Which accelerator a guest really runs under here.
 *
 * That /dev/kvm opens proves nothing: on some virtual machines firmware runs under it and no
 * Linux guest boots. So a guest is booted once, and the answer kept in the cache directory.
 * UNDERSTUDY_LAB_ACCEL=kvm|tcg overrides.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:fs';
import { access, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { waitUntilReady } from './console.js';
import { type Accelerator, kernelArguments } from './domain-xml.js';
import { labError } from './errors.js';
import type { GuestImage } from './guest-image.js';
import { cacheDirectory } from './layout.js';
import { KVM_PROBE_TIMEOUT_MS } from './limits.js';
import { EMULATOR, platformKey } from './platform.js';

/** At most KVM_PROBE_TIMEOUT_MS the first time, nothing after. @throws LAB_OPTION_INVALID */
export async function accelerator(image: GuestImage): Promise<Accelerator> {
  const wanted = process.env.UNDERSTUDY_LAB_ACCEL;
  if (wanted === 'kvm' || wanted === 'tcg') return wanted;
  if (wanted !== undefined) {
    throw labError('LAB_OPTION_INVALID', `UNDERSTUDY_LAB_ACCEL is "${wanted}", not kvm or tcg`);
  }
  const kept = `${cacheDirectory()}/accelerator-${await platformKey()}`;
  const known = await readFile(kept, 'utf8').catch(() => '');
  if (known === 'kvm' || known === 'tcg') return known;
  const answer = (await bootsUnderKvm(image)) ? 'kvm' : 'tcg';
  await mkdir(cacheDirectory(), { recursive: true });
  await writeFile(`${kept}.${process.pid}`, answer);
  await rename(`${kept}.${process.pid}`, kept);
  return answer;
}

async function bootsUnderKvm(image: GuestImage): Promise<boolean> {
  const opens = await access('/dev/kvm', constants.R_OK | constants.W_OK).then(
    () => true,
    () => false,
  );
  if (!opens) return false;
  const directory = await mkdtemp(`${tmpdir()}/understudy-kvm-`);
  const consolePath = `${directory}/console`;
  const qemu = spawn(EMULATOR, kvmArguments(image, consolePath), { stdio: 'ignore' });
  const ended = once(qemu, 'exit');
  try {
    // A QEMU that gives up at once ends the wait; one that hangs is ended by the limit.
    return await Promise.race([
      waitUntilReady(consolePath, KVM_PROBE_TIMEOUT_MS).then(
        () => true,
        () => false,
      ),
      ended.then(
        () => false,
        () => false,
      ),
    ]);
  } finally {
    if (qemu.kill('SIGKILL')) await ended;
    await rm(directory, { recursive: true, force: true });
  }
}

function kvmArguments(image: GuestImage, consolePath: string): string[] {
  return [
    ...['-machine', 'q35', '-accel', 'kvm', '-cpu', 'host', '-m', '256', '-nodefaults'],
    ...['-display', 'none', '-no-reboot', '-serial', `file:${consolePath}`],
    ...['-kernel', image.kernel, '-initrd', image.initrd],
    ...['-append', kernelArguments('kvm', { run: [] }).join(' ')],
  ];
}
