/** The initramfs of one run: the cached base, and behind it this checkout's product, the script and the modules. */
import { constants, copyFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { CpioArchive } from './cpio.js';
import { decompressedModule } from './kernel-modules.js';
import { ADDON, addLoaded, kernelVmBase, ROOT, VM_PRODUCT } from './kernel-vm-base.js';

/**
 * First process of a kernel VM: loads the modules, runs the script, says how it ended, ends.
 * Parameters from the kernel command line; its own lines carry a token that the script does not know.
 */
const INIT = `#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/usr/sbin:/usr/bin:/bin HOME=/tmp
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
# From here on only the script's output, byte for byte.
dmesg -n 1
stty -opost
for word in $(cat /proc/cmdline); do
  case $word in vm.*=*) eval "vm_\${word#vm.}" ;; esac
done
finish() { echo "vm-$vm_token $*"; reboot -f; }
while read -r module; do
  insmod "/modules/$module" || finish "failed insmod $module"
done < /modules/order
ip link set lo up
echo "vm-$vm_token begin"
# So that a VM whose owner died ends too.
timeout -s KILL "$vm_limit_s" node --enable-source-maps "/run/script.mjs" < /dev/null 2>&1
finish "exit $?"
`;

export interface KernelVmImageOptions {
  /** The .mjs file to run. */
  script: string;
  /** Module files in the order of loading, maybe compressed. */
  modules: readonly string[];
  /** More files: place in the VM to place here. */
  files: ReadonlyMap<string, string>;
  /** For the files of this run; the caller removes it. */
  directory: string;
}

/** Makes the initramfs and returns its path. @throws LAB_COMMAND_FAILED, or why a file cannot be read */
export async function kernelVmImage(options: KernelVmImageOptions): Promise<string> {
  const { script, modules, files, directory } = options;
  const archive = new CpioArchive();
  archive.addFile('/init', { text: INIT });
  archive.addFile('/run/script.mjs', { path: script });
  for (const path of ['package.json', ADDON]) {
    archive.addFile(`${VM_PRODUCT}/${path}`, { path: `${ROOT}${path}` });
  }
  await addLoaded(archive, 'dist');
  for (const [inside, outside] of files) archive.addFile(inside, { path: outside });
  const order: string[] = [];
  for (const file of modules) {
    const path = await decompressedModule(file, directory);
    archive.addFile(`/modules/${basename(path)}`, { path });
    order.push(`${basename(path)}\n`);
  }
  archive.addFile('/modules/order', { text: order.join('') });

  const image = `${directory}/initrd.img`;
  await copyFile(await kernelVmBase(), image, constants.COPYFILE_FICLONE);
  await archive.appendTo(image);
  return image;
}
