/**
 * Output commit with the kernel's plug qdisc: twenty-five kills of the primary's process in a VM whose kernel has
 * it. A process stands for the guest; epoch loop, wire, plug and network are the real ones.
 */
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { guestImage } from '../../src/lab/guest-image.js';
import { runInKernelVm, VM_PRODUCT } from '../../src/lab/kernel-vm.js';

/** Thirty seconds a kill on a busy machine: each time Node starts in the VM. */
const VM_TIMEOUT_MS = 1_700_000;
const TEST_TIMEOUT_MS = VM_TIMEOUT_MS + 60_000;

const inVm = (name: string) => fileURLToPath(new URL(`in-kernel-vm/${name}`, import.meta.url));

describe('the output of a guest behind the plug', () => {
  it(
    'is never ahead of its checkpoint when the primary is killed, and planted faults are caught',
    async () => {
      const image = dirname((await guestImage()).initrd);
      const { exitCode, output } = await runInKernelVm({
        script: inVm('output-commit-plug.mjs'),
        modules: [
          'sch_plug',
          'ifb',
          'act_mirred',
          'cls_u32',
          'cls_matchall',
          'sch_ingress',
          'bridge',
          'veth',
          'tun',
          'ipv6',
          'af_packet',
        ],
        files: new Map([
          [`${VM_PRODUCT}/plug-primary.mjs`, inVm('plug-primary.mjs')],
          [`${VM_PRODUCT}/talker`, `${image}/talker`],
          [`${VM_PRODUCT}/listener`, `${image}/listener`],
        ]),
        timeoutMs: VM_TIMEOUT_MS,
      });
      console.log(output);
      expect(exitCode, output).toBe(0);
      expect(output).toContain('25 kills: nothing was heard that was forgotten');
    },
    TEST_TIMEOUT_MS,
  );
});
