/** What a scenario of the demo is: a story that is played on the stage, and the states that it must lead through. */
import type { HostName } from '../layout.js';
import type { DemoOptions } from './figures.js';
import type { Stage, StagePlan } from './stage.js';
import type { ExpectedStates } from './states-seen.js';

export interface Scenario extends StagePlan {
  expected(options: Pick<DemoOptions, 'kill'>): ExpectedStates;
  /** From the protected guest on host a to the host where it runs in the end. */
  play(stage: Stage): Promise<HostName>;
}
