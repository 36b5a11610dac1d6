import type { DomainStatus } from '../agent/status.js';
import { defineCommand } from './command.js';
import { EXIT } from './exit-codes.js';
import { mib, ms, pc, printJson, printLine, printTable } from './output.js';

/** `understudy status [DOMAIN]`: one line each, or one domain in full. */
export const statusCommand = defineCommand({
  command: 'status [domain]',
  describe: 'show what is protected, and how well',
  options: (yargs) =>
    yargs
      .positional('domain', { type: 'string', describe: 'libvirt domain; all when left out' })
      .example('$0 status', 'all domains of this host')
      .example('$0 status web1 --json', 'one domain, for programs'),
  run: async ({ domain, json }, client) => {
    if (domain === undefined) {
      const domains = await client.list();
      if (json) printJson({ domains });
      else printAll(domains);
      return EXIT.ok;
    }
    const status = await client.status(domain);
    if (json) printJson(status);
    else printOne(status);
    const good = status.state === 'protected' || status.state === 'promoted';
    return good ? EXIT.ok : EXIT.notProtected;
  },
});

function printAll(domains: readonly DomainStatus[]): void {
  if (domains.length === 0) {
    printLine('no domain is protected on this host');
    return;
  }
  printTable(
    ['DOMAIN', 'ROLE', 'STATE', 'TERM', 'PEER', 'EPOCHS/S', 'PAUSE P50', 'PAUSE P99'],
    domains.map((one) => [
      one.domain,
      one.role,
      one.state,
      String(one.term),
      one.peer ?? '-',
      one.epochs === undefined ? '-' : one.epochs.perSecond.toFixed(1),
      one.epochs === undefined ? '-' : ms(one.epochs.pauseMs.p50),
      one.epochs === undefined ? '-' : ms(one.epochs.pauseMs.p99),
    ]),
  );
}

function printOne(status: DomainStatus): void {
  const good = status.state === 'protected' || status.state === 'promoted';
  const rows: [string, string | undefined][] = [
    ['domain', status.domain],
    ['role', status.role],
    ['state', good ? pc.green(status.state) : pc.red(status.state)],
    ['since', status.since],
    ['reason', status.reason && `${status.reason.code}: ${status.reason.message}`],
    ['remedy', status.reason?.remedy],
    ['term', String(status.term)],
    ['peer', status.peer],
    ['policy', status.policy && `${status.policy.name}, every ${status.policy.intervalMs} ms`],
    ...epochRows(status),
    ...takeoverRows(status),
    ...(status.warnings ?? []).map((text): [string, string] => ['warning', pc.yellow(text)]),
  ];
  for (const [name, value] of rows) {
    if (value !== undefined) printLine(`${`${name}:`.padEnd(16)}${value}`);
  }
}

function epochRows({ epochs, hold, heartbeat, replica }: DomainStatus): [string, string][] {
  const rows: [string, string][] = [];
  if (epochs !== undefined) {
    const { pauseMs, dirtyPages } = epochs;
    rows.push(
      ['epochs', `${epochs.count} committed, ${epochs.perSecond}/s, newest ${epochs.committed}`],
      ['pause', `p50 ${ms(pauseMs.p50)}, p99 ${ms(pauseMs.p99)}, max ${ms(pauseMs.max)}`],
      ['dirty pages', `p50 ${dirtyPages.p50}, max ${dirtyPages.max}`],
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
        `${hold.releasedPackets} released, ${hold.overflowPackets} lost to overflow`,
    ]);
  }
  if (replica !== undefined) {
    rows.push([
      'replica',
      `epoch ${replica.committedEpoch} committed, ${replica.appliedEpoch} applied`,
    ]);
  }
  if (heartbeat !== undefined) {
    rows.push(['heartbeat', `silent ${heartbeat.silentMs} of ${heartbeat.timeoutMs} ms`]);
  }
  return rows;
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
