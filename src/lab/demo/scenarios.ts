/** The demo's scenarios; what each is in a sentence: scenario-names.ts. */
import type { Scenario } from './scenario.js';
import type { ScenarioName } from './scenario-names.js';
import { agentCrash } from './scenarios/agent-crash.js';
import { backupDeath } from './scenarios/backup-death.js';
import { killPrimary } from './scenarios/kill-primary.js';
import { partition } from './scenarios/partition.js';
import { reprotect } from './scenarios/reprotect.js';
import { switchover } from './scenarios/switchover.js';

export const SCENARIOS: Readonly<Record<ScenarioName, Scenario>> = {
  'kill-primary': killPrimary,
  reprotect,
  switchover,
  'backup-death': backupDeath,
  partition,
  'agent-crash': agentCrash,
};
