/**
 * The two hosts that faults may be put into, from an Ansible inventory: as `ansible-inventory --list` prints it,
 * or a YAML file as it is written. Pure: nothing is connected to before both hosts are known to be marked.
 */
import { parse } from 'yaml';
import { z } from 'zod';
import { RUN_DIR_DEFAULT, STATE_DIR_DEFAULT } from '../agent/limits.js';
import { chaosError } from './errors.js';

export const GROUP_DEFAULT = 'understudy';
const SSH_PORT_DEFAULT = 22;

export interface InventoryHost {
  /** Its name in the inventory. */
  name: string;
  /** Its name in the cluster. */
  clusterName: string;
  ssh: { host: string; port: number; user: string; identityFile?: string };
  /** The first is on the replication link, the next on the clients’ network. */
  addresses: string[];
  /** `understudy` on that host. */
  command: string;
  directories: { run: string; state: string };
}

const variables = z.record(z.string(), z.unknown());
type Variables = z.infer<typeof variables>;

/** Hosts by name with their variables, and the members of each group. */
interface Inventory {
  hosts: Map<string, Variables>;
  groups: Map<string, Set<string>>;
}

const listed = z
  .object({ _meta: z.object({ hostvars: z.record(z.string(), variables) }) })
  .catchall(
    z.object({ hosts: z.array(z.string()).default([]), children: z.array(z.string()).default([]) }),
  );

/** What `ansible-inventory --list` printed. @throws CHAOS_INVENTORY_INVALID, CHAOS_HOST_NOT_ALLOWED */
export function hostsListed(text: string, group = GROUP_DEFAULT): InventoryHost[] {
  let parsed: z.infer<typeof listed>;
  try {
    parsed = listed.parse(JSON.parse(text));
  } catch (cause) {
    throw chaosError('CHAOS_INVENTORY_INVALID', 'ansible-inventory printed no inventory', {
      cause,
    });
  }
  const { _meta, ...rest } = parsed;
  const members = (name: string, seen: Set<string>): string[] => {
    const entry = rest[name];
    if (entry === undefined || seen.has(name)) return [];
    seen.add(name);
    return [...entry.hosts, ...entry.children.flatMap((child) => members(child, seen))];
  };
  const groups = Object.keys(rest).map(
    (name) => [name, new Set(members(name, new Set()))] as const,
  );
  return chosen({ hosts: new Map(Object.entries(_meta.hostvars)), groups: new Map(groups) }, group);
}

const groupSchema: z.ZodType<Group> = z.lazy(() =>
  z.object({
    hosts: z.record(z.string(), variables.nullable()).nullish(),
    vars: variables.nullish(),
    children: z.record(z.string(), groupSchema.nullable()).nullish(),
  }),
);
interface Group {
  hosts?: Record<string, Variables | null> | null | undefined;
  vars?: Variables | null | undefined;
  children?: Record<string, Group | null> | null | undefined;
}

/** A YAML inventory without Ansible: variables of hosts and groups, no plugins, no templates. */
export function hostsOfYaml(text: string, group = GROUP_DEFAULT): InventoryHost[] {
  let top: Record<string, Group | null>;
  try {
    top = z.record(z.string(), groupSchema.nullable()).parse(parse(text));
  } catch (cause) {
    const why = cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : String(cause);
    throw chaosError(
      'CHAOS_INVENTORY_INVALID',
      `it is no YAML inventory, and ansible-inventory is not installed to read another kind: ${why}`,
      { cause },
    );
  }
  const inventory: Inventory = { hosts: new Map(), groups: new Map() };
  for (const [name, entry] of Object.entries(top)) addGroup(inventory, name, entry, [], {});
  return chosen(inventory, group);
}

function addGroup(
  inventory: Inventory,
  name: string,
  entry: Group | null,
  above: readonly string[],
  inherited: Variables,
): void {
  const path = [...above, name];
  const vars = { ...inherited, ...entry?.vars };
  for (const [host, own] of Object.entries(entry?.hosts ?? {})) {
    inventory.hosts.set(host, { ...vars, ...inventory.hosts.get(host), ...own });
    for (const group of path) {
      inventory.groups.set(group, (inventory.groups.get(group) ?? new Set()).add(host));
    }
  }
  for (const [child, group] of Object.entries(entry?.children ?? {})) {
    addGroup(inventory, child, group, path, vars);
  }
}

function chosen({ hosts, groups }: Inventory, group: string): InventoryHost[] {
  const names = [...(groups.get(group) ?? (group === GROUP_DEFAULT ? hosts.keys() : []))];
  if (names.length !== 2) {
    const said = names.length === 0 ? 'no host' : names.join(', ');
    throw chaosError('CHAOS_INVENTORY_INVALID', `group ${group} has ${said}; a pair is two hosts`);
  }
  const marked = names.map((name) => [name, hosts.get(name) ?? {}] as const);
  const unmarked = marked.filter(([, vars]) => !isTrue(vars.understudy_chaos_allowed));
  if (unmarked.length > 0) {
    throw chaosError(
      'CHAOS_HOST_NOT_ALLOWED',
      `${unmarked.map(([name]) => name).join(', ')}: understudy_chaos_allowed is not true`,
    );
  }
  return marked.map(([name, vars]) => hostOf(name, vars));
}

const text = z.string().min(1);
const hostVariables = z.object({
  understudy_name: text.optional(),
  understudy_addresses: z.array(text).min(1).optional(),
  understudy_command: text.default('understudy'),
  understudy_run_directory: text.default(RUN_DIR_DEFAULT),
  understudy_state_directory: text.default(STATE_DIR_DEFAULT),
  ansible_host: text.optional(),
  ansible_user: text.default('root'),
  ansible_port: z.coerce.number().int().min(1).max(65_535).default(SSH_PORT_DEFAULT),
  ansible_ssh_private_key_file: text.optional(),
});

function hostOf(name: string, vars: Variables): InventoryHost {
  const parsed = hostVariables.safeParse(vars);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const message = `host ${name}: ${issue?.path.join('.')}: ${issue?.message}`;
    throw chaosError('CHAOS_INVENTORY_INVALID', message);
  }
  const known = parsed.data;
  const host = known.ansible_host ?? name;
  const identityFile = known.ansible_ssh_private_key_file;
  return {
    name,
    clusterName: known.understudy_name ?? name,
    ssh: {
      host,
      port: known.ansible_port,
      user: known.ansible_user,
      ...(identityFile === undefined ? {} : { identityFile }),
    },
    addresses: known.understudy_addresses ?? [host],
    command: known.understudy_command,
    directories: { run: known.understudy_run_directory, state: known.understudy_state_directory },
  };
}

/** INI inventories give words where YAML gives a truth value. */
function isTrue(value: unknown): boolean {
  return value === true || (typeof value === 'string' && /^(true|yes)$/i.test(value));
}
