/**
 * What this host's kernel cannot show, in a VM with the laboratory's kernel: the refusal where
 * write tracking is missing, and a kernel that has sch_plug.
 */
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { checkRefusals } from '../../src/hypervisor/check-codes.js';
import { kernelVmRelease, runInKernelVm } from '../../src/lab/kernel-vm.js';

const scriptNamed = (name: string) =>
  fileURLToPath(new URL(`in-kernel-vm/${name}.mjs`, import.meta.url));

/** PAGEMAP_SCAN came with 6.7; Debian 12 boots 6.1, other distributions may be newer. */
const release = await kernelVmRelease();
const [major = 0, minor = 0] = release.split('.').map(Number);
const tracksWrites = major > 6 || (major === 6 && minor >= 7);

describe(`kernel ${release}`, () => {
  it.skipIf(tracksWrites)(
    'cannot track writes: the self-test says which step and why, the check refuses',
    async () => {
      const { exitCode, output } = await runInKernelVm({
        script: scriptNamed('judge-host'),
        modules: [],
      });
      expect(exitCode, output).toBe(0);
      const { selfTest, refusals } = JSON.parse(output);
      expect(selfTest).toEqual({
        ok: false,
        failedStep: 'UFFDIO_API',
        reason: expect.stringContaining('Invalid argument'),
      });
      expect(refusals).toEqual([
        {
          code: 'CHECK_KERNEL',
          message: expect.stringContaining('UFFDIO_API: Invalid argument'),
          remedy: checkRefusals.CHECK_KERNEL.remedy,
        },
      ]);
    },
  );

  it('has sch_plug', async () => {
    const { exitCode, output } = await runInKernelVm({
      script: scriptNamed('plug'),
      modules: ['sch_plug', 'ifb'],
    });
    expect(exitCode, output).toBe(0);
    expect(output).toMatch(/^qdisc plug \S+ root/m);
  });

  it('runs a script that fails to its end, and says how it failed', async () => {
    const { exitCode, output } = await runInKernelVm({
      script: scriptNamed('fails'),
      modules: [],
    });
    expect(exitCode).toBe(3);
    expect(output).toBe('first\nlast without an end of line — ünïcode');
  });

  it('names what it cannot do: a missing module, too little time', async () => {
    const plug = { script: scriptNamed('plug'), modules: [] };
    await expect(runInKernelVm({ ...plug, modules: ['no_such'] })).rejects.toMatchObject({
      code: 'LAB_OPTION_INVALID',
      message: expect.stringContaining('no_such'),
    });
    await expect(runInKernelVm({ ...plug, timeoutMs: 500 })).rejects.toMatchObject({
      code: 'LAB_KERNEL_VM_FAILED',
      message: expect.stringContaining('no end within 500 ms'),
    });
  });
});
