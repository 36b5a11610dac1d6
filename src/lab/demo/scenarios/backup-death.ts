/** The backup host dies: the guest runs on and cannot be heard. When the host is back, what waited is answered. */
import { setTimeout as delay } from 'node:timers/promises';
import { monotonicMs } from '../../../clock.js';
import type { Scenario } from '../scenario.js';

/** How long the backup is away beyond being noticed. */
const AWAY_MS = 2_000;
/** What was released before the host died is still on its way. */
const ON_ITS_WAY_MS = 500;

export const backupDeath: Scenario = {
  recovery: 'automatic',
  expected: () => ({
    a: [
      'primary syncing',
      'primary protected',
      'primary degraded',
      'primary syncing',
      'primary protected',
    ],
    b: ['backup syncing', 'backup protected', 'backup syncing', 'backup protected'],
  }),
  play: async (stage) => {
    const sinceMs = Date.now();
    const fault = await stage.kill('b', 'host');
    const reason = await stage.degraded('a', sinceMs);
    const noticedAtMs = monotonicMs();
    stage.say(
      `host a is degraded after ${(noticedAtMs - fault.atMs).toFixed(0)} ms (${reason?.code}): ` +
        'the guest runs, what it says is held, the client waits',
    );
    await delay(AWAY_MS);
    const bootAtMs = monotonicMs();
    await stage.pair.bootHost('b');
    stage.say('host b is back');
    await stage.protectedFrom('a');
    await stage.turn(
      { ...fault, noticedAtMs, overAtMs: monotonicMs() },
      ({ fromMs, toMs }) => fromMs < noticedAtMs + ON_ITS_WAY_MS && toMs > bootAtMs,
    );
    return 'a';
  },
};
