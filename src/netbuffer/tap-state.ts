/** Reads how interfaces, bridge ports and filters stand now. Changes nothing. */
import { z } from 'zod';
import { UnderstudyError } from '../errors.js';
import { holdError } from './errors.js';
import { ifbOf } from './interface-names.js';
import { askJson } from './net-commands.js';

/** The places on the tap's ingress that are ours; two, so that one can replace the other. */
export const holdPreferences = [1, 2] as const;
export type HoldPreference = (typeof holdPreferences)[number];

export interface LinkState {
  readonly name: string;
  readonly mac: string;
  readonly mtu: number;
  readonly up: boolean;
  readonly master: string | undefined;
  readonly alias: string;
  /** The bridge port's state, `forwarding` in the end; undefined when it is no port. */
  readonly portState: string | undefined;
  readonly portSettings: Readonly<Record<string, string>>;
}

export interface BridgeState {
  readonly vlanFiltering: boolean;
  /** 0 without spanning tree. */
  readonly forwardDelayMs: number;
}

/** What the bridge has learned about a port; `vlan` only where the bridge filters VLANs. */
export interface LearnedPort {
  readonly macs: readonly { readonly mac: string; readonly vlan: number | undefined }[];
  readonly groups: readonly { readonly group: string; readonly vlan: number | undefined }[];
}

const linkSchema = z.object({
  ifname: z.string(),
  flags: z.array(z.string()),
  mtu: z.number(),
  address: z.string(),
  master: z.string().optional(),
  ifalias: z.string().optional(),
  linkinfo: z
    .object({
      info_kind: z.string().optional(),
      info_data: z.record(z.string(), z.unknown()).optional(),
      info_slave_kind: z.string().optional(),
      info_slave_data: z.record(z.string(), z.unknown()).optional(),
    })
    .optional(),
});

/** Port switches: how `ip -j` calls them, how `ip link set … type bridge_slave` does, and the default. */
const switches: readonly (readonly [json: string, word: string, byDefault: boolean])[] = [
  ['hairpin', 'hairpin', false],
  ['guard', 'guard', false],
  ['root_block', 'root_block', false],
  ['fastleave', 'fastleave', false],
  ['learning', 'learning', true],
  ['flood', 'flood', true],
  ['mcast_flood', 'mcast_flood', true],
  ['bcast_flood', 'bcast_flood', true],
  ['mcast_to_unicast', 'mcast_to_unicast', false],
  ['neigh_suppress', 'neigh_suppress', false],
  ['isolated', 'isolated', false],
  ['locked', 'locked', false],
];
const multicastRouterByDefault = 1;

/** HOLD_NO_INTERFACE when it does not exist. */
export async function readLink(name: string): Promise<LinkState> {
  const link = await readRawLink(name);
  const isPort = link.linkinfo?.info_slave_kind === 'bridge';
  const port = isPort ? (link.linkinfo?.info_slave_data ?? {}) : {};
  return {
    name: link.ifname,
    mac: link.address,
    mtu: link.mtu,
    up: link.flags.includes('UP'),
    master: link.master,
    alias: link.ifalias ?? '',
    portState: isPort ? String(port.state) : undefined,
    portSettings: changedSettings(port),
  };
}

/** Undefined when it does not exist. */
export async function findLink(name: string): Promise<LinkState | undefined> {
  try {
    return await readLink(name);
  } catch (failure) {
    if (failure instanceof UnderstudyError && failure.code === 'HOLD_NO_INTERFACE')
      return undefined;
    throw failure;
  }
}

export async function readBridge(name: string): Promise<BridgeState> {
  const link = await readRawLink(name);
  if (link.linkinfo?.info_kind !== 'bridge') {
    throw holdError('HOLD_NOT_ON_BRIDGE', `${name} is not a bridge`);
  }
  const facts = link.linkinfo.info_data ?? {};
  const delayCs = Number(facts.forward_delay ?? 0);
  return {
    vlanFiltering: facts.vlan_filtering === 1,
    forwardDelayMs: facts.stp_state === 0 ? 0 : delayCs * 10,
  };
}

const vlanSchema = z.array(
  z.object({
    ifname: z.string(),
    vlans: z.array(
      z.object({
        vlan: z.number(),
        vlanEnd: z.number().optional(),
        flags: z.array(z.string()).optional(),
      }),
    ),
  }),
);

/** The VLANs of a port, in the form of `PortRecord.vlans`. */
export async function readVlans(port: string): Promise<string[]> {
  const all = parse(vlanSchema, await askJson('bridge', ['vlan', 'show', 'dev', port]), 'vlan');
  const vlans = all.find((entry) => entry.ifname === port)?.vlans ?? [];
  return vlans.map(({ vlan, vlanEnd, flags = [] }) => {
    const range = vlanEnd === undefined ? `${vlan}` : `${vlan}-${vlanEnd}`;
    const portVlan = flags.includes('PVID') ? '.p' : '';
    return range + portVlan + (flags.includes('Egress Untagged') ? '.u' : '');
  });
}

const fdbSchema = z.array(
  z.object({
    mac: z.string(),
    master: z.string().optional(),
    vlan: z.number().optional(),
    state: z.string().optional(),
  }),
);
const mdbSchema = z.array(
  z.object({
    mdb: z
      .array(
        z.object({
          port: z.string(),
          grp: z.string(),
          src: z.string().optional(),
          vid: z.number().optional(),
        }),
      )
      .optional(),
  }),
);

export async function readLearned(bridge: string, port: string): Promise<LearnedPort> {
  const [fdb, mdb] = await Promise.all([
    askJson('bridge', ['fdb', 'show', 'dev', port]),
    askJson('bridge', ['mdb', 'show', 'dev', bridge]),
  ]);
  const macs = parse(fdbSchema, fdb, 'fdb')
    .filter(({ master, state }) => master === bridge && state !== 'permanent' && state !== 'static')
    .map(({ mac, vlan }) => ({ mac, vlan }));
  const groups = parse(mdbSchema, mdb, 'mdb')
    .flatMap((entry) => entry.mdb ?? [])
    .filter((entry) => entry.port === port && entry.src === undefined)
    .map(({ grp, vid }) => ({ group: grp, vlan: vid }));
  return { macs, groups };
}

const qdiscSchema = z.array(z.object({ kind: z.string() }));

/** Whether the interface has a place for ingress filters already (clsact or ingress). */
export async function hasIngressQdisc(name: string): Promise<boolean> {
  const qdiscs = parse(qdiscSchema, await askJson('tc', ['qdisc', 'show', 'dev', name]), 'qdisc');
  return qdiscs.some(({ kind }) => kind === 'clsact' || kind === 'ingress');
}

const filterSchema = z.array(
  z.object({
    pref: z.number(),
    options: z
      .object({
        actions: z
          .array(z.object({ kind: z.string().optional(), to_dev: z.string().optional() }))
          .optional(),
      })
      .optional(),
  }),
);

/** Where output is redirected by a hold, live or dead. @throws HOLD_TAP_BUSY when somebody else redirects it there */
export async function readHoldFilters(tap: string, readTap: string): Promise<HoldPreference[]> {
  const places = await readPlaces(tap, readTap);
  const busy = places.find(({ others }) => others);
  if (busy !== undefined) {
    const message = `${tap} has an ingress filter of preference ${busy.preference}`;
    throw holdError('HOLD_TAP_BUSY', message);
  }
  return preferencesHeld(places);
}

/** Of a hold that is there: what somebody has put beside its filter since is in its place, and goes with it. */
export async function readPlacesToFree(tap: string, readTap: string): Promise<HoldPreference[]> {
  return preferencesHeld(await readPlaces(tap, readTap));
}

interface Place {
  readonly preference: HoldPreference;
  /** A hold redirects output here. */
  readonly held: boolean;
  /** So does somebody else. */
  readonly others: boolean;
}

const preferencesHeld = (places: readonly Place[]): HoldPreference[] =>
  places.filter(({ held }) => held).map(({ preference }) => preference);

/** A dead hold's filter leads to `*`, which is how the kernel names a device that is gone; a dead plug's IFB is there. */
async function readPlaces(tap: string, readTap: string): Promise<Place[]> {
  const answer = await askJson('tc', ['filter', 'show', 'dev', tap, 'ingress']);
  const filters = parse(filterSchema, answer, 'filter');
  const own = new Set(['*', readTap, ifbOf(tap)]);
  return holdPreferences.map((preference) => {
    const targets = filters
      .filter(({ pref }) => pref === preference)
      .flatMap(({ options }) => options?.actions ?? [])
      .filter(({ kind }) => kind === 'mirred')
      .map(({ to_dev: target = '' }) => own.has(target));
    return { preference, held: targets.includes(true), others: targets.includes(false) };
  });
}

export interface FilterState {
  readonly preference: number;
  /** Where its first action redirects to; `*` when that is gone, undefined when it does something else. */
  readonly redirectsTo: string | undefined;
}

/** Filters with actions, in the order in which the kernel asks them. */
export async function readFilters(
  name: string,
  side: 'ingress' | 'egress',
): Promise<FilterState[]> {
  const answer = await askJson('tc', ['filter', 'show', 'dev', name, side]);
  return parse(filterSchema, answer, 'filter').flatMap(({ pref, options }) => {
    const [first] = options?.actions ?? [];
    if (first === undefined) return [];
    return { preference: pref, redirectsTo: first.kind === 'mirred' ? first.to_dev : undefined };
  });
}

const portsSchema = z.array(z.object({ ifname: z.string(), flags: z.array(z.string()) }));

/** The bridge's ports that are up. */
export async function readPortsUp(bridge: string): Promise<string[]> {
  const answer = await askJson('ip', ['link', 'show', 'master', bridge]);
  const ports = parse(portsSchema, answer, 'link');
  return ports.filter(({ flags }) => flags.includes('UP')).map(({ ifname }) => ifname);
}

function changedSettings(port: Readonly<Record<string, unknown>>): Record<string, string> {
  const changed: Record<string, string> = {};
  for (const [json, word, byDefault] of switches) {
    const value = port[json];
    if (typeof value === 'boolean' && value !== byDefault) changed[word] = value ? 'on' : 'off';
  }
  const router = port.multicast_router;
  if (typeof router === 'number' && router !== multicastRouterByDefault) {
    changed.mcast_router = String(router);
  }
  return changed;
}

async function readRawLink(name: string): Promise<z.infer<typeof linkSchema>> {
  let answer: unknown;
  try {
    answer = await askJson('ip', ['-details', 'link', 'show', 'dev', name]);
  } catch (failure) {
    if (failure instanceof UnderstudyError && /does not exist/.test(failure.message)) {
      throw holdError('HOLD_NO_INTERFACE', `there is no interface ${name}`, { cause: failure });
    }
    throw failure;
  }
  const [link] = parse(z.tuple([linkSchema]), answer, 'link');
  return link;
}

function parse<T>(schema: z.ZodType<T>, answer: unknown, what: string): T {
  const parsed = schema.safeParse(answer);
  if (parsed.success) return parsed.data;
  throw holdError('HOLD_COMMAND_UNREADABLE', `unknown form of the ${what} list`, {
    cause: parsed.error,
  });
}
