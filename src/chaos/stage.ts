/** Where faults are put in: two hosts, a domain, a client beside them, and who else listens. */
import type { ChaosHost } from './chaos-host.js';
import type { VoiceReport } from './voices.js';
import type { Workload } from './workload.js';

export interface Stage {
  readonly hosts: readonly [ChaosHost, ChaosHost];
  readonly domain: string;
  /** How often states are looked at. */
  readonly lookEveryMs: number;
  /** Undefined when the operator said that there is none. */
  readonly workload: Workload | undefined;
  /** Planted faults that protection is begun with. */
  readonly unsafeFaults: readonly string[];
  /** What was heard outside so far; both undefined where nobody listens. */
  heard(): Promise<{
    beacon: { packets: number; forgotten: number } | undefined;
    voices: VoiceReport | undefined;
  }>;
  close(): Promise<void>;
}
