/** The demo's scenarios by name, in a sentence each. Pure. */
export const SCENARIO_NAMES = {
  'kill-primary': 'the guest’s QEMU or its host is killed; the other host takes over',
  reprotect: 'the same, then protected in the other direction, and killed there too',
  switchover: 'the guest is given to the other host and back',
  'backup-death': 'the backup host dies and comes back; the guest waits for it, unheard',
  partition: 'the replication link is cut alone, then every path between the hosts',
  'agent-crash': 'both agents are killed and started again, then the primary’s session is killed',
} as const;

export type ScenarioName = keyof typeof SCENARIO_NAMES;
