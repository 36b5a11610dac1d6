/** A real pair as a stage: two hosts over ssh, a domain that is protected already, and its Redis. */
import { spawn } from 'node:child_process';
import type { InventoryHost } from './inventory.js';
import { LOOK_EVERY_MS_SSH } from './limits.js';
import { SshHost } from './ssh-host.js';
import type { Stage } from './stage.js';
import { Workload } from './workload.js';

export interface InventoryStageOptions {
  domain: string;
  redis: { host: string; port: number } | undefined;
  crash: 'b' | 'c';
}

/** Both hosts are reached and have what faults need. @throws CHAOS_HOST_UNREACHABLE, CHAOS_HOST_LACKS */
export async function inventoryStage(
  pair: readonly InventoryHost[],
  { domain, redis, crash }: InventoryStageOptions,
): Promise<Stage> {
  const [first, second] = pair;
  if (first === undefined || second === undefined) throw new RangeError('a pair is two hosts');
  const hosts: SshHost[] = [];
  let workload: Workload | undefined;
  const close = async (): Promise<void> => {
    await workload?.close();
    for (const host of hosts) await host.close();
  };
  try {
    hosts.push(await SshHost.open(first, { peer: second, crash }));
    hosts.push(await SshHost.open(second, { peer: first, crash }));
    if (redis !== undefined) workload = await Workload.start(spawn, redis.host, redis.port);
  } catch (error) {
    await close();
    throw error;
  }
  const [a, b] = hosts;
  if (a === undefined || b === undefined) throw new RangeError('a pair is two hosts');
  return {
    hosts: [a, b],
    domain,
    lookEveryMs: LOOK_EVERY_MS_SSH,
    workload,
    unsafeFaults: [],
    heard: async () => ({ beacon: undefined, voices: undefined }),
    close,
  };
}
