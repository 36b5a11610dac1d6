/** What can go wrong while measuring. */
import { errorsOf } from '../src/errors.js';

export const BENCH_ERRORS = {
  BENCH_UNKNOWN: {
    meaning: 'There is no benchmark or part of a benchmark of that name.',
    remedy: 'Use one of the names in the message.',
  },
  BENCH_NOTHING_MEASURED: {
    meaning: 'A measurement ended without a single usable sample.',
    remedy: 'Run it again on a machine with less other load.',
  },
  BENCH_GUEST_NOT_SETTLED: {
    meaning: 'The load in a guest did not do what a measurement waits for.',
    remedy: 'Run it again on a machine with less other load.',
  },
  BENCH_MODE_NOT_REACHED: {
    meaning: 'A guest was to be protected in one way and the agent’s status says another.',
    remedy: 'Build again, so that agent and benchmark are of one version: script/setup.',
  },
  BENCH_PROGRAM_FAILED: {
    meaning: 'A program that measures a floor ended without its answer.',
    remedy: 'Read what it printed; script/setup installs the compiler that it needs.',
  },
} as const;

export const benchError = errorsOf(BENCH_ERRORS);
