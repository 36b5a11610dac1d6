/** nftables rules of a cut link, in one table of our own: put in and taken out whole, nothing else is touched. Pure. */
import type { Way } from './faults.js';

export const TABLE = 'understudy_chaos';

const hasIn = (way: Way): boolean => way !== 'out';
const hasOut = (way: Way): boolean => way !== 'in';

/** Drops every frame of some interfaces: what a laboratory's cable does. */
export function interfaceRules(interfaces: readonly string[], way: Way): string {
  const chain = (name: string, hook: 'ingress' | 'egress', device: string) =>
    `  chain ${name} { type filter hook ${hook} device "${device}" priority 0; policy drop; }`;
  return table('netdev', [
    ...interfaces.flatMap((device, index) => [
      ...(hasIn(way) ? [chain(`in${index}`, 'ingress', device)] : []),
      ...(hasOut(way) ? [chain(`out${index}`, 'egress', device)] : []),
    ]),
  ]);
}

/**
 * Drops what comes from, or goes to, the other host's addresses: guests' packets and our own ssh pass. Before
 * connection tracking, so that open connections are cut as well.
 */
export function addressRules(peers: readonly string[], way: Way): string {
  const rules = (key: 'saddr' | 'daddr') =>
    peers.map((peer) => `${peer.includes(':') ? 'ip6' : 'ip'} ${key} ${peer} drop;`).join(' ');
  return table('inet', [
    ...(hasIn(way)
      ? [`  chain in { type filter hook prerouting priority raw; ${rules('saddr')} }`]
      : []),
    ...(hasOut(way)
      ? [`  chain out { type filter hook output priority raw; ${rules('daddr')} }`]
      : []),
  ]);
}

// Making it first lets it be deleted also when there is none: one transaction, in place of an older one.
function table(family: 'netdev' | 'inet', chains: readonly string[]): string {
  const name = `${family} ${TABLE}`;
  return [`table ${name} {}`, `delete table ${name}`, `table ${name} {`, ...chains, '}', ''].join(
    '\n',
  );
}

/** `sh` lines: puts rules in. */
export function applyScript(rules: string): string {
  return `nft -f - <<'RULES'\n${rules}RULES`;
}

/** `sh` lines: takes out whatever is in. */
export const HEAL_SCRIPT = ['netdev', 'inet']
  .map(
    (family) =>
      `nft -f - <<'RULES'\ntable ${family} ${TABLE} {}\ndelete table ${family} ${TABLE}\nRULES`,
  )
  .join('\n');
