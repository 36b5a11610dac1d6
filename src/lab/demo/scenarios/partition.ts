/**
 * The hosts lose each other, first on one heartbeat path alone, which changes nothing, then on the replication link
 * alone, then on every path. A listener hears what comes out of both: never two instances of the guest.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { DomainStatus } from '../../../agent/status.js';
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
    await cutHeartbeatPath(stage);
    await cut(stage, 'a', ['repl']);
    await cut(stage, 'b', LINKS);
    return 'a';
  },
};

/** Long enough for a takeover that nobody wants. */
const CUT_FOR_MS = 2_000;

/** The backup's cable to the clients' network, which the guest does not need. The states must not change. */
async function cutHeartbeatPath(stage: Stage): Promise<void> {
  const { lab } = stage;
  stage.say('CUT: one heartbeat path between the hosts');
  const atMs = monotonicMs();
  await lab.setLink('b', 'lan', false);
  await stage.waitFor('a', (status) => pathsUp(status) === LINKS.length - 1);
  await delay(CUT_FOR_MS);
  const { state } = await stage.status('a');
  stage.say(`host a, the primary, is ${state} and says which path is down`);
  await lab.setLink('b', 'lan', true);
  await stage.waitFor('a', (status) => pathsUp(status) === LINKS.length);
  await stage.waitFor('b', (status) => pathsUp(status) === LINKS.length);
  stage.say('the cable is plugged in again, and the path is up');
  await stage.judgeBackup('b');
  await stage.turn({ what: 'one heartbeat path cut', atMs, overAtMs: atMs });
}

const pathsUp = ({ heartbeat }: DomainStatus): number | undefined =>
  heartbeat?.paths.filter(({ up }) => up).length;

/** The primary's cables are pulled and, when the other host has the guest, plugged in again. */
async function cut(stage: Stage, primary: HostName, links: readonly Link[]): Promise<void> {
  const { lab, listener } = stage;
  const to = otherThan(primary);
  await listener?.settle();
  listener?.log.expectTakeover(to);
  const which = links.length === 1 ? 'the replication link alone' : 'every path';
  stage.say(`CUT: ${which} between the hosts`);
  const sinceMs = Date.now();
  const atMs = monotonicMs();
  await Promise.all(links.map((link) => lab.setLink(primary, link, false)));
  const reason = await stage.degraded(primary, sinceMs);
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
