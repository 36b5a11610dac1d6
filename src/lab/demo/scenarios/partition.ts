/**
 * The hosts lose each other, first on the replication link alone, then on every path. A listener hears what comes
 * out of both: never two instances of the guest.
 */
import { monotonicMs } from '../../../clock.js';
import type { HostName } from '../../layout.js';
import { LINKS, type Link } from '../../network.js';
import type { Scenario } from '../scenario.js';
import { otherThan, type Stage } from '../stage.js';

const LOSES = ['primary degraded', 'primary fenced'] as const;
const FOLLOWS = ['backup syncing', 'backup protected'] as const;
const TAKES = ['backup promoted', 'primary re-protecting', 'primary protected'] as const;

export const partition: Scenario = {
  recovery: 'automatic',
  listens: true,
  expected: () => ({
    a: ['primary syncing', 'primary protected', ...LOSES, ...FOLLOWS, ...TAKES],
    b: [...FOLLOWS, ...TAKES, ...LOSES, ...FOLLOWS],
  }),
  play: async (stage) => {
    await cut(stage, 'a', ['repl']);
    await cut(stage, 'b', LINKS);
    return 'a';
  },
};

/** The primary's cables are pulled and, when the other host has the guest, plugged in again. */
async function cut(stage: Stage, primary: HostName, links: readonly Link[]): Promise<void> {
  const { lab, listener } = stage;
  const to = otherThan(primary);
  await listener?.settle();
  listener?.log.expectTakeover(to);
  const which = links.length === 1 ? 'the replication link alone' : 'every path';
  stage.say(`CUT: ${which} between the hosts`);
  const atMs = monotonicMs();
  await Promise.all(links.map((link) => lab.setLink(primary, link, false)));
  const { reason } = await stage.waitFor(primary, ({ state }) => state === 'degraded');
  stage.say(
    `host ${primary}, the primary, is degraded after ${(monotonicMs() - atMs).toFixed(0)} ms ` +
      `(${reason?.code}): its output stays held`,
  );
  // Ends after some time in which both instances may be running.
  await stage.takenOver({ host: to, what: `${which} cut`, atMs });
  await Promise.all(links.map((link) => lab.setLink(primary, link, true)));
  stage.say('the cables are plugged in again');
  await stage.protectedFrom(to);
  await stage.judgeTakeover(to);
}
