/** Somebody takes a part of the hold away: it is put back and told, and nothing is released meanwhile. */
import assert from 'node:assert/strict';
import { bridgeTapOf, ifbOf, readTapOf } from '../../src/netbuffer/interface-names.js';
import type { HoldBackendName } from '../../src/netbuffer/output-hold.js';
import type { HoldCase } from './netbuffer-contract.js';
import { bridge, client, guest, sh, until } from './netbuffer-net.js';
import { numbers, releaseAll } from './netbuffer-stage.js';

const { tap } = guest;
const [readTap, bridgeTap, ifb] = [readTapOf(tap), bridgeTapOf(tap), ifbOf(tap)];

interface Sabotage {
  readonly what: string;
  readonly script: string;
  /** What was held when it happened is gone with it. */
  readonly loses?: boolean;
  /** It also takes away how the test network itself carries frames to the guest. */
  readonly deafens?: boolean;
}

/** Behind a held tap that is no bridge port nothing gets out, whatever happens to its filter. */
const leakMax: Record<HoldBackendName, number> = { holder: 0, plug: 50 };

/** Sends all of the guest's output to nobody. */
const elsewhere = (preference: 1 | 2): string =>
  `tc filter add dev ${tap} ingress protocol all pref ${preference} u32 match u32 0 0 at -12 action mirred egress redirect dev us3null`;

/** In this order it is replaced at one stroke, with no time in between to put it back. */
const replaced: Record<HoldBackendName, string> = {
  holder: `${elsewhere(1)}
    first=$(tc filter show dev ${tap} ingress | sed -n 's/.* fh \\([0-9a-f]*::800\\) .*/\\1/p')
    tc filter del dev ${tap} ingress pref 1 handle "$first" u32`,
  plug: `${elsewhere(2)}
    tc filter del dev ${tap} ingress pref 1`,
};

const sabotages: Record<HoldBackendName, readonly Sabotage[]> = {
  holder: [
    {
      what: "the filter on the tap's ingress is removed",
      script: `tc filter del dev ${tap} ingress`,
    },
    { what: 'the filter is replaced by one that sends output elsewhere', script: replaced.holder },
    {
      what: 'the clsact is removed from the tap',
      script: `tc qdisc del dev ${tap} clsact`,
      deafens: true,
    },
    { what: 'the tap is put on the bridge again', script: `ip link set ${tap} master ${bridge}` },
    { what: 'its port is taken off the bridge', script: `ip link set ${bridgeTap} nomaster` },
    { what: 'its port is set down', script: `ip link set ${bridgeTap} down` },
    { what: 'the tap that it reads is set down', script: `ip link set ${readTap} down` },
    {
      what: 'the redirect of what goes to the guest is removed',
      script: `tc filter del dev ${bridgeTap} egress`,
    },
  ],
  plug: [
    { what: 'the plug is removed', script: `tc qdisc del dev ${ifb} root`, loses: true },
    {
      what: 'the plug is replaced by a queue that lets everything pass',
      script: `tc qdisc replace dev ${ifb} root pfifo`,
      loses: true,
    },
    {
      what: "the filter on the tap's ingress is removed",
      script: `tc filter del dev ${tap} ingress`,
    },
    { what: 'the filter is replaced by one that sends output elsewhere', script: replaced.plug },
    {
      what: 'the clsact is removed from the tap',
      script: `tc qdisc del dev ${tap} clsact`,
      deafens: true,
    },
    { what: 'the IFB is set down', script: `ip link set ${ifb} down`, loses: true },
    { what: 'the IFB is deleted', script: `ip link del ${ifb}`, loses: true },
  ],
};

function caseOf(
  backend: HoldBackendName,
  { what, script, loses = false, deafens = false }: Sabotage,
): HoldCase {
  return {
    name: `holds again when ${what}`,
    only: ({ name }) => name === backend,
    run: async (scene) => {
      const { hold, told } = await scene.begin();
      await scene.burst(1, 10);
      await scene.held(hold, 10);
      await sh(script);
      await until('it is told', () => told.troubles.length > 0);
      assert.deepEqual(
        told.troubles.map(({ kind }) => kind),
        ['unheld'],
        told.troubles.map(({ reason }) => reason).join('; '),
      );
      const before = hold.stats().heldPackets;
      assert.ok(loses || before === 10, `${before} of 10 are still held`);
      await scene.burst(101, 120);
      await scene.held(hold, before + 20);
      assert.deepEqual(await scene.seen(), []);

      assert.equal(await releaseAll(hold, 1), before + 20);
      const kept = loses ? numbers(11 - before, 10) : numbers(1, 10);
      const wanted = [...kept, ...numbers(101, 120)];
      await until('they come', async () => (await scene.seen()).length >= wanted.length);
      assert.deepEqual(await scene.seen(), wanted);
      if (deafens) {
        await scene.end(hold);
        await scene.network.guest.unplug();
        await scene.network.guest.plug();
      }
      await scene.stage.clientWire.burst({ from: 1, through: 5, to: guest.mac, mac: client.mac });
      await until(
        'the guest hears',
        async () => (await scene.stage.guestWire.seen()).numbers.length === 5,
      );
    },
  };
}

/** While the guest talks: how many packets have left before the hold was back. */
function talkingCase(backend: HoldBackendName, { what, script }: Sabotage): HoldCase {
  return {
    name: `lets next to nothing out when ${what} while the guest talks`,
    only: ({ name }) => name === backend,
    run: async (scene) => {
      const { hold, told } = await scene.begin();
      await scene.stream(1);
      await until('packets are held', () => hold.stats().heldPackets > 0);
      await sh(script);
      await until('it is told', () => told.troubles.length > 0);
      const leaked = await scene.seen();
      assert.ok(leaked.length <= leakMax[backend], `${leaked.length} packets have left`);
      const now = hold.stats().heldPackets;
      await until('packets are held again', () => hold.stats().heldPackets > now + 20);
      await scene.stage.guestWire.stop();
      assert.deepEqual(await scene.seen(), leaked);
      await releaseAll(hold, 1);
    },
  };
}

/** The plug's own classifier has room for one filter per preference. */
const behind: Record<HoldBackendName, readonly (1 | 2)[]> = { holder: [1, 2], plug: [2] };

function behindCase(backend: HoldBackendName, preference: 1 | 2): HoldCase {
  return {
    name: `goes on, and ends, with somebody's filter of preference ${preference} behind its own`,
    only: ({ name }) => name === backend,
    run: async (scene) => {
      const { hold, told } = await scene.begin();
      await sh(elsewhere(preference));
      await scene.burst(1, 10);
      await scene.held(hold, 10);
      assert.equal(await releaseAll(hold, 1), 10);
      await scene.untilSeen(1, 10);
      assert.deepEqual(told.troubles, []);
      await scene.end(hold);
      await sh(`tc filter del dev ${tap} ingress 2>/dev/null || true`);
      await scene.burst(11, 20);
      await scene.untilSeen(1, 20);
    },
  };
}

export const unheldCases: readonly HoldCase[] = (['holder', 'plug'] as const).flatMap((backend) => {
  const [first, ...rest] = sabotages[backend];
  assert.ok(first);
  return [first, ...rest]
    .map((sabotage) => caseOf(backend, sabotage))
    .concat(talkingCase(backend, first))
    .concat(behind[backend].map((preference) => behindCase(backend, preference)));
});
