/** Both agents are killed, which nobody hears; they find the sessions again. Then the primary's session is killed. */
import { monotonicMs } from '../../../clock.js';
import { HOST_NAMES } from '../../layout.js';
import type { Scenario } from '../scenario.js';

export const agentCrash: Scenario = {
  recovery: 'automatic',
  expected: () => ({
    a: [
      'primary syncing',
      'primary protected',
      'primary failed',
      'backup syncing',
      'backup protected',
    ],
    b: [
      'backup syncing',
      'backup protected',
      'backup promoted',
      'primary re-protecting',
      'primary protected',
    ],
  }),
  play: async (stage) => {
    const { pair } = stage;
    const crashedAtMs = monotonicMs();
    await Promise.all(HOST_NAMES.map((host) => pair.killAgent(host)));
    stage.say('KILL: SIGKILL to the agents of both hosts');
    // The conversation goes on without them.
    await stage.turn({ what: 'both agents killed', atMs: crashedAtMs, overAtMs: crashedAtMs });
    await Promise.all(HOST_NAMES.map((host) => pair.startAgent(host)));
    stage.say('both agents are started again and look for their sessions');
    await stage.protectedFrom('a');
    const { sessionPid } = await stage.status('a');
    process.kill(sessionPid, 'SIGKILL');
    const atMs = monotonicMs();
    stage.say('KILL: SIGKILL to the session on host a; what the guest says from now on is dropped');
    await stage.takenOver({ host: 'b', what: 'session of host a killed', atMs });
    await stage.protectedFrom('b');
    return 'b';
  },
};
