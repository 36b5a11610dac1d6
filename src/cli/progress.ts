/** The progress of a copy or repair of a domain, disks and memory: a bar on a terminal, now and then a line elsewhere. */
import { SingleBar } from 'cli-progress';
import type { AgentClient } from '../agent/control/client.js';
import { waitProtected } from '../agent/control/wait-protected.js';
import type { DomainStatus } from '../agent/status.js';
import { Pace, type Progress, progressLine, progressOf, progressWords } from './progress-words.js';

/** Between two lines where there is no terminal. */
const LINE_EVERY_MS = 5_000;

export interface ProgressDisplay {
  show(status: DomainStatus): void;
  stop(): void;
}

/** Waits until the domain is protected, showing how far it is. @throws AGENT_WAIT_TIMED_OUT, AGENT_ENDED_UNPROTECTED */
export async function waitShowingProgress(
  client: AgentClient,
  domain: string,
  { timeoutS, quiet }: { timeoutS: number; quiet: boolean },
): Promise<DomainStatus> {
  const display = progressDisplay(quiet);
  try {
    return await waitProtected(() => client.status(domain), {
      timeoutMs: timeoutS * 1000,
      onStatus: (status) => display.show(status),
    });
  } finally {
    display.stop();
  }
}

/** To standard error, as what is printed there is for people; `quiet` shows nothing. */
export function progressDisplay(quiet: boolean): ProgressDisplay {
  if (quiet) return { show: () => undefined, stop: () => undefined };
  return process.stderr.isTTY === true ? barDisplay() : lineDisplay();
}

function barDisplay(): ProgressDisplay {
  const bar = new SingleBar({
    format: '{what} {bar} {percentage}% {words}',
    stream: process.stderr,
    // With the longest words it fits into 80 columns.
    barsize: 16,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    hideCursor: true,
    clearOnComplete: true,
    // A copy that goes on past its end has found more to do.
    stopOnComplete: false,
  });
  const pace = new Pace();
  let started = false;
  return {
    show: (status) => {
      const progress = progressOf(status);
      if (progress === undefined) return;
      const { what, done, total } = progress;
      const payload = { what, words: progressWords(progress, pace.leftMs(progress)) };
      if (!started) bar.start(total, done, payload);
      started = true;
      bar.setTotal(total);
      bar.update(Math.min(done, total), payload);
    },
    stop: () => bar.stop(),
  };
}

function lineDisplay(): ProgressDisplay {
  const pace = new Pace();
  let last: { atMs: number; what: string } | undefined;
  return {
    show: (status) => {
      const progress = progressOf(status);
      if (progress === undefined) return;
      const leftMs = pace.leftMs(progress);
      if (!isDue(progress, last)) return;
      last = { atMs: performance.now(), what: progress.what };
      process.stderr.write(`${progressLine(status.domain, progress, leftMs)}\n`);
    },
    stop: () => undefined,
  };
}

/** At the begin of each part, and from time to time in it. */
function isDue({ what }: Progress, last: { atMs: number; what: string } | undefined): boolean {
  return last === undefined || last.what !== what || performance.now() - last.atMs >= LINE_EVERY_MS;
}
