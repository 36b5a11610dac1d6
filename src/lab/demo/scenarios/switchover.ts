/** The guest is given to the other host and back, as for maintenance: no fault at all. */
import { monotonicMs } from '../../../clock.js';
import type { HostName } from '../../layout.js';
import type { Scenario } from '../scenario.js';
import { DOMAIN, otherThan, type Stage } from '../stage.js';

const GIVES = ['primary switching-over', 'primary fenced'] as const;
const FOLLOWS = ['backup syncing', 'backup protected'] as const;
const TAKES = ['backup promoted', 'primary re-protecting', 'primary protected'] as const;

export const switchover: Scenario = {
  recovery: 'automatic',
  expected: () => ({
    a: ['primary syncing', 'primary protected', ...GIVES, ...FOLLOWS, ...TAKES],
    b: [...FOLLOWS, ...TAKES, ...GIVES, ...FOLLOWS],
  }),
  play: async (stage) => {
    await give(stage, 'a');
    await give(stage, 'b');
    return 'a';
  },
};

async function give(stage: Stage, from: HostName): Promise<void> {
  const to = otherThan(from);
  stage.say(`SWITCHOVER from host ${from} to host ${to}`);
  const atMs = monotonicMs();
  await stage.pair.agent(from).client.switchover(DOMAIN);
  await stage.takenOver({ host: to, what: `switchover to host ${to}`, atMs });
  await stage.protectedFrom(to);
}
