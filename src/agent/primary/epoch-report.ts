/** Where the time of an epoch goes: what `understudy status --epochs` prints and the benchmarks draw. */
import { EPOCH_RECORDS_MAX } from '../../epoch/limits.js';
import {
  type EpochRecord,
  type EpochRecords,
  PHASE_NAMES,
  type Phase,
  type Spread,
  spreadOf,
} from '../../epoch/records.js';
import { agentError } from '../errors.js';
import { EPOCHS_REPORTED_DEFAULT } from '../limits.js';

/** Durations are microseconds. */
export interface EpochReport {
  domain: string;
  /** How many epochs it is made of: the newest. */
  epochs: number;
  phases: Record<Phase, Spread>;
  /** From the gate’s opening to the guest running again. */
  pause: Spread;
  /** Decision to release: the phases, and what lies between them. */
  total: Spread;
  /** First held packet to decision; of the epochs in which output waited before it. */
  waited: Spread;
  /** Epochs with held output: also such that came while their pause was under way, for which `waited` has no figure. */
  outputWaited: number;
  /** From pause to pause, ms. */
  apartMs: Spread;
  dirtyPages: Spread;
  shippedBytes: Spread;
  releasedPackets: Spread;
}

/** A number of epochs as a query has it. @throws AGENT_BAD_REQUEST */
export function epochCount(text = String(EPOCHS_REPORTED_DEFAULT)): number {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1 && count <= EPOCH_RECORDS_MAX) return count;
  throw agentError('AGENT_BAD_REQUEST', `count ${text} is not 1 to ${EPOCH_RECORDS_MAX}`);
}

export function epochReport(domain: string, records: EpochRecords, count: number): EpochReport {
  const newest = records.last(count);
  const spread = (value: (record: EpochRecord) => number): Spread => spreadOf(newest.map(value));
  const waited = newest.flatMap(({ waitedUs }) => (waitedUs === undefined ? [] : [waitedUs]));
  const apart = newest
    .slice(1)
    .map(({ pausedAtMs }, index) => pausedAtMs - (newest[index]?.pausedAtMs ?? pausedAtMs));
  const phases = PHASE_NAMES.map((phase) => [phase, spread(({ phasesUs }) => phasesUs[phase])]);
  return {
    domain,
    epochs: newest.length,
    phases: Object.fromEntries(phases) as Record<Phase, Spread>,
    pause: spread(({ pauseUs }) => pauseUs),
    total: spread(({ totalUs }) => totalUs),
    waited: spreadOf(waited),
    outputWaited: newest.filter(
      ({ waitedUs, releasedPackets }) => waitedUs !== undefined || releasedPackets > 0,
    ).length,
    apartMs: spreadOf(apart),
    dirtyPages: spread(({ dirtyPages }) => dirtyPages),
    shippedBytes: spread(({ shippedBytes }) => shippedBytes),
    releasedPackets: spread(({ releasedPackets }) => releasedPackets),
  };
}
