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
    const fault = await stage.kill('a', stage.options.kill);
    await stage.takenOver({ host: 'b', ...fault });
    return 'b';
  },
};
