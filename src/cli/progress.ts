/** The progress of a domain's first copy, on a terminal only: its disks, then its memory. */
import { SingleBar } from 'cli-progress';
import type { DomainStatus } from '../agent/status.js';
import { mib } from './output.js';

interface Progress {
  what: string;
  done: number;
  total: number;
  shipped: string;
  rate: string;
}

export function progressBar(
  quiet: boolean,
): { show(status: DomainStatus): void; stop(): void } | undefined {
  if (quiet || !process.stderr.isTTY) return undefined;
  const bar = new SingleBar({
    format: '{what} {bar} {percentage}% | {shipped} shipped | {rate}/s',
    stream: process.stderr,
    clearOnComplete: true,
  });
  let started = false;
  return {
    show: (status) => {
      const progress = progressOf(status);
      if (progress === undefined) return;
      const { done, total, ...payload } = progress;
      if (!started) bar.start(total, done, payload);
      started = true;
      bar.setTotal(total);
      bar.update(done, payload);
    },
    stop: () => bar.stop(),
  };
}

function progressOf({ sync, diskSync }: DomainStatus): Progress | undefined {
  if (sync !== undefined && sync.pages > 0) {
    return {
      what: `memory, round ${sync.round + 1}`,
      done: sync.pagesDone,
      total: sync.pages,
      shipped: mib(sync.bytesShipped),
      rate: mib(sync.bytesPerSecond),
    };
  }
  if (diskSync === undefined || diskSync.totalBytes === 0) return undefined;
  return {
    what: `disks, ${diskSync.how}`,
    done: diskSync.doneBytes,
    total: diskSync.totalBytes,
    shipped: mib(diskSync.bytesShipped),
    rate: mib(diskSync.bytesPerSecond),
  };
}
