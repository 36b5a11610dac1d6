/** The laboratory as a stage: two hosts whose agents are respawned, a guest with Redis, and listeners outside. */
import { HostPair } from '../lab/host-pair.js';
import { Lab } from '../lab/lab.js';
import { Listener } from '../lab/listener.js';
import { REDIS_PORT } from '../lab/ports.js';
import { Witness } from '../lab/witness.js';
import { LabHost } from './lab-host.js';
import { LOOK_EVERY_MS_LAB } from './limits.js';
import type { Stage } from './stage.js';
import { Voices } from './voices.js';
import { Workload } from './workload.js';

export interface LabStageOptions {
  prefix: string;
  memoryMib: number;
  unsafeFaults: readonly string[];
  /** Heartbeats missed on every path before a takeover (default: the product’s). */
  heartbeatMissed?: number | undefined;
}

const DOMAIN = 'chaos';

/**
 * A host’s disks: small, as they lie in memory and faults fill them. Each its own, so that a full one fills
 * no other.
 */
const FILE_SYSTEMS = [
  { path: '/var/lib/understudy', mib: 128 },
  { path: '/var/lib/understudy/replicas', mib: 384 },
  { path: '/var/lib/libvirt/images', mib: 384 },
] as const;

/** A guest’s disk: 8 writers fill some 3 MiB a minute. */
const DISK_MIB = 256;

/** Protected when this resolves; on failure nothing is left. */
export async function labStage(options: LabStageOptions): Promise<Stage> {
  const { prefix, memoryMib, unsafeFaults, heartbeatMissed } = options;
  // Whoever is told to stop heals and tears down by itself.
  const lab = await Lab.up({ prefix, tearDownOnSignal: false, fileSystems: FILE_SYSTEMS });
  const closers: (() => Promise<void>)[] = [() => lab.down()];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    const voices = new Voices();
    const listener = await Listener.start(lab, voices);
    closers.push(() => listener.close());
    const witness = await Witness.start(lab.client);
    closers.push(() => witness.close());
    const [pair, guest] = await Promise.all([
      HostPair.start(lab, { respawnAgents: true }),
      lab.startGuest({
        name: DOMAIN,
        memoryMib,
        run: ['redis', 'beacon', 'talker'],
        disks: [{ name: 'vda', format: 'raw', mib: DISK_MIB, filesystem: 'ext4' }],
        options: { data: 'vda', redis_disk: 1, talker_hz: 50, beacon_hz: 200 },
      }),
    ]);
    closers.push(async () => pair.close());
    const spawn = lab.client.spawn.bind(lab.client);
    const workload = await Workload.start(spawn, guest.ip, REDIS_PORT);
    closers.push(() => workload.close());
    await pair.protect(DOMAIN, {
      recovery: 'automatic',
      faults: [...unsafeFaults],
      ...(heartbeatMissed === undefined ? {} : { heartbeat: { missedMax: heartbeatMissed } }),
    });
    const bounded = FILE_SYSTEMS.map(({ path }) => path);
    return {
      hosts: [new LabHost('a', pair, bounded), new LabHost('b', pair, bounded)],
      domain: DOMAIN,
      lookEveryMs: LOOK_EVERY_MS_LAB,
      workload,
      unsafeFaults,
      heard: async () => {
        await listener.settle();
        const { packets, forgotten } = await witness.beacon();
        return { beacon: { packets, forgotten }, voices: voices.report() };
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
