/**
 * How busy a guest is, seen from its vCPU threads: a pause costs a guest only the time in which it
 * would have worked.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import type { ProtectedDomain } from './domain.js';
import { INSPECT_TIMEOUT_MS, VCPU_LOAD_WINDOW_MS } from './limits.js';
import { readReply } from './monitor.js';
import { cpusReply } from './qmp-replies.js';

export class VcpuLoad {
  readonly #vcpus: { readonly fd: number; ranNs: number }[];
  #sinceMs = performance.now();
  #pausedMs = 0;
  #share = 1;

  private constructor(paths: readonly string[]) {
    this.#vcpus = paths.map((path) => ({ fd: openSync(path, 'r'), ranNs: 0 }));
    for (const vcpu of this.#vcpus) vcpu.ranNs = ranNs(vcpu.fd) ?? 0;
  }

  /** @throws what a monitor command throws, and ENOENT where the kernel keeps no schedstat */
  static async open(domain: ProtectedDomain, pid: number): Promise<VcpuLoad> {
    const names = { operation: 'query-cpus-fast', domain: domain.name };
    const reply = await domain.qmp('query-cpus-fast', undefined, INSPECT_TIMEOUT_MS);
    const cpus = readReply(cpusReply, reply, names);
    return new VcpuLoad(cpus.map((cpu) => `/proc/${pid}/task/${cpu['thread-id']}/schedstat`));
  }

  /**
   * Part of the time outside of pauses in which the busiest vCPU ran, 0 to 1, over a window of some
   * 10 ms. `pausedMs` is how long the guest has been paused in all. 1 where it cannot be known.
   */
  share(pausedMs: number): number {
    const nowMs = performance.now();
    const elapsedMs = nowMs - this.#sinceMs;
    if (elapsedMs < VCPU_LOAD_WINDOW_MS) return this.#share;
    const runMs = Math.max(1, elapsedMs - (pausedMs - this.#pausedMs));
    const shares = this.#vcpus.map((vcpu) => {
      const now = ranNs(vcpu.fd);
      // A vCPU that was unplugged; a kernel without CONFIG_SCHED_INFO says 0 for ever.
      if (now === undefined || now === 0) return 1;
      const share = (now - vcpu.ranNs) / 1e6 / runMs;
      vcpu.ranNs = now;
      return Math.min(1, share);
    });
    this.#sinceMs = nowMs;
    this.#pausedMs = pausedMs;
    this.#share = Math.max(0, ...shares);
    return this.#share;
  }

  close(): void {
    for (const { fd } of this.#vcpus.splice(0)) closeSync(fd);
  }
}

/** First number of /proc/PID/task/TID/schedstat: time on a CPU, ns (Documentation/scheduler/sched-stats). */
function ranNs(fd: number): number | undefined {
  const text = Buffer.alloc(SCHEDSTAT_BYTES_MAX);
  try {
    const bytes = readSync(fd, text, 0, text.length, 0);
    return Number(text.toString('latin1', 0, bytes).split(' ', 1)[0]);
  } catch {
    return undefined;
  }
}

/** Three numbers of at most 20 digits. */
const SCHEDSTAT_BYTES_MAX = 64;
