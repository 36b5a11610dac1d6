/**
 * One guest of the laboratory under this process’s own tracking: the product’s attach, pause, capture and
 * encode, without its network and backup.
 */
import { constants, setPriority } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { SESSION_NICENESS } from '../src/agent/limits.js';
import { captureEpoch } from '../src/epoch/capture.js';
import { STAGING_BYTES_DEFAULT } from '../src/epoch/limits.js';
import { type Hypervisor, openHypervisor } from '../src/hypervisor/connection.js';
import type { ProtectedDomain } from '../src/hypervisor/domain.js';
import { choosePauseSource } from '../src/hypervisor/pause.js';
import type { PauseSource } from '../src/hypervisor/pause-source.js';
import { type RamMap, ramMap } from '../src/hypervisor/ram-map.js';
import type { GuestOptions } from '../src/lab/guest.js';
import type { Lab } from '../src/lab/lab.js';
import { type NativeCapture, type NativeGuestMemory, native } from '../src/native.js';
import { CHUNK_BYTES_MAX } from '../src/wire/limits.js';
import { PAUSE_EVERY_MS } from './limits.js';

/** Threads for scan and copy, as a session has them. */
const THREADS = 2;

export class BenchGuest {
  private constructor(
    private readonly lab: Lab,
    readonly name: string,
    readonly consolePath: string,
    private readonly hypervisor: Hypervisor,
    private readonly domain: ProtectedDomain,
    private readonly map: RamMap,
  ) {}

  /** Starts a guest on host a; it runs when this resolves. */
  static async start(lab: Lab, options: GuestOptions): Promise<BenchGuest> {
    const { name, consolePath } = await lab.startGuest(options);
    const hypervisor = await openHypervisor({ uri: lab.host('a').libvirtUri });
    const domain = await hypervisor.domain(name);
    return new BenchGuest(lab, name, consolePath, hypervisor, domain, await ramMap(domain));
  }

  get ramBytes(): number {
    return this.map.ramBytes;
  }

  suspend(): Promise<void> {
    return this.domain.suspend();
  }

  resume(): Promise<void> {
    return this.domain.resume();
  }

  /** Tracks `what` while `measure` runs: all RAM, or one page, where the pause is the gate alone. */
  async tracked<T>(
    what: 'ram' | 'onePage',
    measure: (tracked: TrackedGuest) => Promise<T>,
  ): Promise<T> {
    const { pid, blocks } = this.map;
    const ranges = blocks.map(({ hva, bytes, replicaOffset }) => ({ hva, bytes, replicaOffset }));
    // Threads inherit the priority of the thread that makes them: set before attaching.
    setPriority(SESSION_NICENESS);
    const memory = await native.memory.attach({
      pid,
      ranges: what === 'ram' ? ranges : ranges.slice(0, 1).map((one) => ({ ...one, bytes: 4096 })),
      stagingBytes: Math.min(STAGING_BYTES_DEFAULT, this.map.ramBytes),
      threads: THREADS,
    });
    try {
      const fifoPath = `${this.lab.host('a').runDir}/run/understudy/${this.name}.gate`;
      const pause = await choosePauseSource({ domain: this.domain, memory, fifoPath });
      try {
        return await measure(new TrackedGuest(memory, pause));
      } finally {
        await pause.close();
      }
    } finally {
      await memory.detach();
      setPriority(constants.priority.PRIORITY_NORMAL);
    }
  }

  async destroy(): Promise<void> {
    await this.hypervisor.close();
    await this.lab.host('a').virsh('destroy', this.name);
  }
}

export class TrackedGuest {
  readonly #chunk = Buffer.alloc(CHUNK_BYTES_MAX);
  #epoch = 0;

  constructor(
    private readonly memory: NativeGuestMemory,
    private readonly pause: PauseSource,
  ) {}

  /** One epoch: pause and capture, then encode to nowhere. */
  async epoch(copy: 'staged' | 'live'): Promise<NativeCapture> {
    this.#epoch += 1;
    const { capture, settled } = await captureEpoch(this.memory, this.pause, {
      epoch: this.#epoch,
      copy,
      boundaries: [],
      onStagingFull: () => this.#encode(),
    });
    await settled;
    await this.#encode();
    return capture;
  }

  /** As many epochs as asked for, at the default policy’s pace. */
  async epochs(
    count: number,
    copy: 'staged' | 'live',
    afterEach: (capture: NativeCapture) => void = () => undefined,
  ): Promise<NativeCapture[]> {
    const captures: NativeCapture[] = [];
    for (let taken = 0; taken < count; taken += 1) {
      await delay(PAUSE_EVERY_MS);
      const capture = await this.epoch(copy);
      captures.push(capture);
      afterEach(capture);
    }
    return captures;
  }

  async #encode(): Promise<void> {
    let encoded = await this.memory.encodeInto(this.#chunk);
    while (!encoded.done) encoded = await this.memory.encodeInto(this.#chunk);
  }
}
