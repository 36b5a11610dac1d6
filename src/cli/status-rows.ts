/** One domain in full: what it is called, and what is said of it. */
import type { DomainStatus, MirrorStatus, RecentEpochs } from '../agent/status.js';
import type { Copy } from '../diskmirror/newer-copy.js';
import type { PolicyOptions } from '../epoch/policy.js';
import { CONSISTENCIES, type Consistency } from '../wire/consistency.js';
import { duration } from './moments.js';
import { mib, ms, pc, stateWord } from './output.js';

/** One line for each thing that can be said now. */
export function statusLines(status: DomainStatus, now = new Date()): string[] {
  const age = now.getTime() - Date.parse(status.since);
  const rows: [string, string | undefined][] = [
    ['domain', status.domain],
    ['role', status.role],
    ['state', stateWord(status.state)],
    ['since', `${status.since} (${duration(age)})`],
    ['reason', status.reason && `${status.reason.code}: ${status.reason.message}`],
    ['remedy', status.reason?.remedy],
    ['term', String(status.term)],
    ['peer', status.peer],
    ['policy', status.policy && policyWords(status.policy)],
    ['consistency', status.consistency && consistencyWords(status.consistency)],
    ...epochRows(status),
    ...diskRows(status),
    ...takeoverRows(status),
    ...copyRows(status),
    ...(status.warnings ?? []).map((text): [string, string] => ['warning', pc.yellow(text)]),
  ];
  return rows.flatMap(([name, value]) =>
    value === undefined ? [] : [`${`${name}:`.padEnd(16)}${value}`],
  );
}

function policyWords(policy: PolicyOptions): string {
  if (policy.name === 'fixed') return `fixed, every ${policy.intervalMs} ms`;
  const { minIntervalMs, maxIntervalMs, pauseBudget } = policy;
  return (
    `adaptive, when output waits, ${minIntervalMs} to ${maxIntervalMs} ms apart, ` +
    `pauses take at most ${Math.round(pauseBudget * 100)} % of the guest’s work`
  );
}

function consistencyWords(consistency: Consistency): string {
  const words = `${consistency}: ${CONSISTENCIES[consistency]}`;
  return consistency === 'strong' ? words : pc.yellow(words);
}

function epochRows({ state, epochs, hold, heartbeat, replica }: DomainStatus): [string, string][] {
  const rows: [string, string][] = [];
  if (epochs !== undefined) {
    const { pauseMs, dirtyPages } = epochs;
    rows.push(
      ['epochs', `${epochs.count} committed, ${epochs.perSecond}/s, newest ${epochs.committed}`],
      ['pause', `p50 ${ms(pauseMs.p50)}, p99 ${ms(pauseMs.p99)}, max ${ms(pauseMs.max)}`],
      ['dirty pages', `p50 ${dirtyPages.p50}, max ${dirtyPages.max}`],
      ['dirty rate', `${mib(epochs.recent.dirtyBytesPerSecond)}/s`],
      ['latency', latencyWords(epochs.recent)],
      ['lag', `${ms(epochs.recent.lagMs)} since the newest committed checkpoint`],
      ['shipped', mib(epochs.shippedBytes)],
    );
    if (epochs.shippedPaused > 0) {
      rows.push(['shipped paused', `${epochs.shippedPaused} epochs (staging too small)`]);
    }
  }
  if (hold !== undefined) {
    rows.push([
      'output',
      `${hold.backend}: ${hold.heldPackets} packets held (${mib(hold.heldBytes)}), ` +
        `${hold.releasedPackets} released, ${hold.overflowPackets} lost to overflow, ` +
        `${hold.droppedPackets} thrown away`,
    ]);
  }
  if (replica !== undefined) {
    rows.push([
      'replica',
      `epoch ${replica.committedEpoch} committed, ${replica.appliedEpoch} applied`,
    ]);
  }
  // After a takeover nobody listens any more.
  if (heartbeat !== undefined && state !== 'promoted') {
    const { silentMs, timeoutMs, paths } = heartbeat;
    const up = paths.filter((path) => path.up).length;
    const heard = `${up} of ${paths.length} paths up`;
    rows.push(['heartbeat', `silent ${silentMs} of ${timeoutMs} ms, ${heard}`]);
  }
  return rows;
}

function latencyWords({ latencyMs }: RecentEpochs): string {
  if (latencyMs.max === 0) return 'no output waited in the last seconds';
  return `p50 ${ms(latencyMs.p50)}, p99 ${ms(latencyMs.p99)} from the first held packet to its release`;
}

function takeoverRows({ takeover }: DomainStatus): [string, string][] {
  if (takeover === undefined) return [];
  return [
    [
      'takeover',
      `${takeover.cause}, epoch ${takeover.epoch}, promoted in ${ms(takeover.promoteMs)}`,
    ],
  ];
}

function diskRows({ disks, mirror, diskSync, replica, state }: DomainStatus): [string, string][] {
  const rows = (disks ?? []).map(({ name, bytes, path, format }): [string, string] => [
    `disk ${name}`,
    `${mib(bytes)}, ${path} (${format})`,
  ]);
  if (mirror !== undefined) rows.push(['mirror', mirrorWords(mirror)]);
  if (diskSync !== undefined && state === 'syncing') {
    const { how, doneBytes, totalBytes, bytesPerSecond } = diskSync;
    rows.push([
      'disk sync',
      `${how}, ${mib(doneBytes)} of ${mib(totalBytes)}, ${mib(bytesPerSecond)}/s`,
    ]);
  }
  if (replica?.disks !== undefined) {
    rows.push(['replica disks', `epoch ${replica.disks.recordedEpoch} on disk`]);
  }
  return rows;
}

function mirrorWords(mirror: MirrorStatus): string {
  const words = [mirror.state, `${mib(mirror.shippedBytes)} shipped`];
  if (mirror.logBytes > 0) words.push(`${mib(mirror.logBytes)} waiting`);
  if (mirror.rememberedBytes > 0) words.push(`${mib(mirror.rememberedBytes)} remembered`);
  if (mirror.backPressureCount > 0) {
    words.push(
      `writes waited ${mirror.backPressureCount} times, ${ms(mirror.backPressureMs)} in all`,
    );
  }
  return words.join(', ');
}

function copyRows({ copies }: DomainStatus): [string, string][] {
  if (copies === undefined) return [];
  const { here, there, peer, newer } = copies;
  const newerWords = {
    here: pc.green('this host'),
    there: pc.green(peer),
    same: 'both are the same',
    unknown: pc.yellow('not known: the other host must be asked'),
  };
  return [
    ['disks here', copyWords(here)],
    ['disks there', 'unknown' in there ? there.unknown : copyWords(there)],
    ['newer disks', newerWords[newer]],
  ];
}

function copyWords({ term, ours, record }: Copy): string {
  if (ours) return `ran the domain in term ${term}`;
  const { state, position } = record;
  const where = position === undefined ? '' : `, epoch ${position.epoch} of term ${position.term}`;
  return `${COPY_STATES[state]}${where}`;
}

const COPY_STATES = {
  none: 'nothing recorded',
  copying: 'an unfinished first copy: not usable',
  consistent: 'a whole replica',
  live: 'ran the domain once',
} as const;
