/** What only the `plug` backend does, under Debian's kernel with sch_plug (in-kernel-vm/plug-hold.mjs). */
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { runInKernelVm } from '../../src/lab/kernel-vm.js';

/** The emulated machine runs some hundred tc and ip commands: 70 s, on a busy machine three times as long. */
const timeoutMs = 480_000;

it('the plug backend holds, notices who takes it away, and survives its process', {
  timeout: timeoutMs + 60_000,
}, async () => {
  const { exitCode, output } = await runInKernelVm({
    script: fileURLToPath(new URL('in-kernel-vm/plug-hold.mjs', import.meta.url)),
    modules: [
      ...['sch_plug', 'ifb', 'tun', 'bridge', 'veth'],
      ...['cls_matchall', 'cls_u32', 'act_mirred', 'sch_ingress'],
    ],
    timeoutMs,
  });
  expect(exitCode, output).toBe(0);
});
