/** The primary dies, the backup takes over, and nobody does anything after that. */
import type { Scenario } from '../scenario.js';

export const killPrimary: Scenario = {
  recovery: 'manual',
  expected: ({ kill }) => ({
    a: [
      'primary syncing',
      'primary protected',
      // A host without power says nothing.
      ...(kill === 'qemu' ? (['primary fenced'] as const) : []),
    ],
    b: ['backup syncing', 'backup protected', 'backup promoting', 'backup promoted'],
  }),
  play: async (stage) => {
    const { kill } = stage.options;
    const atMs = await stage.kill('a', kill);
    await stage.takenOver({ host: 'b', what: `${kill} of host a killed`, atMs });
    return 'b';
  },
};
