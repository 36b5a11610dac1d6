/** Where the time of an epoch goes: what `understudy status --epochs` prints and the benchmarks draw. */
import type { EpochRecords, Phase, Spread } from '../epoch/records.js';
import { spreadOf } from '../epoch/records.js';

/** Durations are microseconds. */
export interface EpochReport {
  domain: string;
  /** How many epochs it is made of: the newest. */
  epochs: number;
  phases: Record<Phase, Spread>;
  /** First byte of the gate to the guest running again. */
  pause: Spread;
  /** Decision to release: the phases, and what lies between them. */
  total: Spread;
  /** First held packet to decision; of the epochs in which output waited. */
  waited: Spread;
  outputWaited: number;
  /** From pause to pause, ms. */
  apartMs: Spread;
  dirtyPages: Spread;
  shippedBytes: Spread;
  releasedPackets: Spread;
}

export function epochReport(domain: string, records: EpochRecords, count: number): EpochReport {
  const newest = records.last(count);
  const waited = newest.flatMap(({ waitedUs }) => (waitedUs === undefined ? [] : [waitedUs]));
  const apart = newest
    .slice(1)
    .map(({ pausedAtMs }, index) => pausedAtMs - (newest[index]?.pausedAtMs ?? pausedAtMs));
  return {
    domain,
    epochs: newest.length,
    phases: records.phases(count),
    pause: spreadOf(newest.map(({ pauseUs }) => pauseUs)),
    total: spreadOf(newest.map(({ totalUs }) => totalUs)),
    waited: spreadOf(waited),
    outputWaited: waited.length,
    apartMs: spreadOf(apart),
    dirtyPages: spreadOf(newest.map(({ dirtyPages }) => dirtyPages)),
    shippedBytes: spreadOf(newest.map(({ shippedBytes }) => shippedBytes)),
    releasedPackets: spreadOf(newest.map(({ releasedPackets }) => releasedPackets)),
  };
}
