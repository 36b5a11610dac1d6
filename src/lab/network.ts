/**
 * The laboratory's networks (see layout.ts), made and changed by `ip -batch`.
 *
 * Bridges forward at once (no spanning tree, no forward delay) and do not filter multicast:
 * without a querier, snooping would eat neighbour discovery.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { runCommand } from './command.js';
import { labError } from './errors.js';
import {
  CLIENT_ADDRESS,
  HOST_ADDRESSES,
  HOST_NAMES,
  type HostName,
  netnsName,
  PLACE_NAMES,
} from './layout.js';
import { CABLE_READY_TIMEOUT_MS, CABLE_RECHECK_MS } from './limits.js';

/** `lan`: the host's uplink to the client network; `repl`: the direct link between the hosts. */
export const LINKS = ['lan', 'repl'] as const;
export type Link = (typeof LINKS)[number];

const bridge = (name: string) =>
  `link add ${name} type bridge stp_state 0 forward_delay 0 mcast_snooping 0`;

/** Makes the namespaces and the cables between them, then configures each namespace. */
export async function createNetwork(prefix: string): Promise<void> {
  const [a, b, c] = [netnsName(prefix, 'a'), netnsName(prefix, 'b'), netnsName(prefix, 'c')];
  await batch(
    [],
    [
      ...PLACE_NAMES.map((place) => `netns add ${netnsName(prefix, place)}`),
      `link add lan netns ${a} type veth peer name to-a netns ${c}`,
      `link add lan netns ${b} type veth peer name to-b netns ${c}`,
      `link add repl netns ${a} type veth peer name repl netns ${b}`,
    ],
  );
  await Promise.all([
    ...HOST_NAMES.map((host) => batch(['-n', netnsName(prefix, host)], hostLines(host))),
    batch(['-n', c], clientLines()),
  ]);
  await Promise.all([
    ...HOST_NAMES.map((host) => cablesReady(netnsName(prefix, host), [...LINKS, 'br0'])),
    cablesReady(c, ['to-a', 'to-b', 'lan']),
  ]);
}

/**
 * Resolves when the interfaces carry packets (with `alone`, or see that nobody is at the other end): the kernel activates one up to a second after it was set
 * up (net/core/link_watch.c), and drops what is sent before.
 */
async function cablesReady(
  netns: string,
  names: readonly string[],
  { alone = false } = {},
): Promise<void> {
  const deadlineMs = performance.now() + CABLE_READY_TIMEOUT_MS;
  for (;;) {
    const { stdout } = await runCommand('ip', ['-n', netns, '-o', 'link', 'show', 'up']);
    const ready = names.filter((name) => {
      const line = new RegExp(`: ${name}[@:].*`).exec(stdout)?.[0] ?? '';
      return line.includes(' state UP ') || (alone && line.includes('NO-CARRIER'));
    });
    if (ready.length === names.length) return;
    if (performance.now() > deadlineMs) {
      throw labError('LAB_COMMAND_FAILED', `${netns}: only ${ready.join(', ')} came up`);
    }
    await delay(CABLE_RECHECK_MS);
  }
}

/** Pulls (`up: false`) or plugs in cables of a host; both ends see the carrier change. */
export async function setLinks(
  prefix: string,
  host: HostName,
  links: readonly Link[],
  up: boolean,
): Promise<void> {
  const lines = links.map((link) => `link set ${link} ${up ? 'up' : 'down'}`);
  // An interface that goes down loses its IPv6 addresses; the IPv4 ones stay.
  if (up && links.includes('repl')) {
    lines.push(`addr replace ${HOST_ADDRESSES[host].repl6}/64 dev repl nodad`);
  }
  await batch(['-n', netnsName(prefix, host)], lines);
  // The other end of a cable may be down: that is not for this host to wait for.
  if (up) await cablesReady(netnsName(prefix, host), links, { alone: true });
}

function hostLines(host: HostName): string[] {
  const { lan, lan6, repl, repl6 } = HOST_ADDRESSES[host];
  return [
    'link set lo up',
    bridge('br0'),
    'link set lan master br0 up',
    'link set br0 up',
    `addr add ${lan}/16 brd + dev br0`,
    `addr add ${lan6}/64 dev br0 nodad`,
    'link set repl up',
    `addr add ${repl}/30 dev repl`,
    `addr add ${repl6}/64 dev repl nodad`,
  ];
}

function clientLines(): string[] {
  return [
    'link set lo up',
    bridge('lan'),
    'link set to-a master lan up',
    'link set to-b master lan up',
    'link set lan up',
    `addr add ${CLIENT_ADDRESS.lan}/16 brd + dev lan`,
    `addr add ${CLIENT_ADDRESS.lan6}/64 dev lan nodad`,
  ];
}

async function batch(args: readonly string[], lines: readonly string[]): Promise<void> {
  await runCommand('ip', [...args, '-batch', '-'], { input: `${lines.join('\n')}\n` });
}
