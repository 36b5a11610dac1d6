/** The primary dies twice: on the first host, and, once the guest is protected in the other direction, on the second. */
import type { HostName } from '../../layout.js';
import type { Scenario } from '../scenario.js';
import { otherThan, type Stage } from '../stage.js';

export const reprotect: Scenario = {
  recovery: 'automatic',
  expected: ({ kill }) => {
    // A host without power says nothing.
    const end = kill === 'qemu' ? (['primary fenced'] as const) : [];
    const backup = ['backup syncing', 'backup protected'] as const;
    const takeover = ['backup promoted', 'primary re-protecting', 'primary protected'] as const;
    return {
      a: ['primary syncing', 'primary protected', ...end, ...backup, ...takeover],
      b: [...backup, ...takeover, ...end, ...backup],
    };
  },
  play: async (stage) => {
    await killAndReturn(stage, 'a');
    await killAndReturn(stage, 'b');
    return 'a';
  },
};

/** Afterwards the other host runs the guest and `host` is its backup. */
async function killAndReturn(stage: Stage, host: HostName): Promise<void> {
  const { kill } = stage.options;
  const to = otherThan(host);
  const fault = await stage.kill(host, kill);
  await stage.takenOver({ host: to, ...fault });
  if (kill === 'host') {
    await stage.pair.bootHost(host);
    stage.say(`host ${host} is back`);
  }
  await stage.protectedFrom(to);
}
