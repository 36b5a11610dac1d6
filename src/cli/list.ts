import type { DomainStatus, KnownDomain } from '../agent/status.js';
import { defineCommand } from './command.js';
import { EXIT } from './exit-codes.js';
import { duration } from './moments.js';
import { ms, printJson, printLine, printTable, stateWord } from './output.js';

/** `understudy list`: the domains of this host, one line each. */
export const listCommand = defineCommand({
  command: ['list', 'ls'],
  describe: 'show the protected domains of this host, one line each',
  options: (yargs) =>
    yargs
      .option('all', {
        type: 'boolean',
        default: false,
        describe: 'also the domains that libvirt knows here and that are not protected',
      })
      .example('$0 list', 'what is protected on this host, and how well')
      .example('$0 list --all', 'and what is not'),
  run: async ({ all, json }, client) => {
    const answer = all ? await client.listAll() : { domains: await client.list() };
    if (json) printJson(answer);
    else printDomains(answer.domains, 'others' in answer ? answer.others : []);
    return EXIT.ok;
  },
});

export function printDomains(
  domains: readonly DomainStatus[],
  others: readonly KnownDomain[] = [],
): void {
  if (domains.length + others.length === 0) {
    printLine('no domain is protected on this host');
    return;
  }
  const now = new Date();
  printTable(
    ['DOMAIN', 'ROLE', 'STATE', 'SINCE', 'PEER', 'PAUSE', 'LAG', 'NOTE'],
    [
      ...domains.map((status) => row(status, now)),
      ...others.map(({ domain, running }) => [
        domain,
        '-',
        stateWord('unprotected'),
        ...Array<string>(4).fill('-'),
        running ? '' : 'shut off',
      ]),
    ],
  );
}

function row(status: DomainStatus, now: Date): string[] {
  const { domain, role, state, since, peer, epochs } = status;
  return [
    domain,
    role,
    stateWord(state),
    duration(now.getTime() - Date.parse(since)),
    peer === undefined ? '-' : hostOf(peer),
    epochs === undefined ? '-' : ms(epochs.recent.pauseMs.p50),
    epochs === undefined ? '-' : ms(epochs.recent.lagMs),
    noteOf(status),
  ];
}

/** What changes what the rest of the line promises. */
function noteOf({ reason, consistency, warnings }: DomainStatus): string {
  const notes = [reason?.code, consistency === 'timeline' ? 'timeline' : undefined];
  if (warnings !== undefined) notes.push(`${warnings.length} warnings`.replace(/^(1 .*)s$/, '$1'));
  return notes.filter((note) => note !== undefined).join(', ');
}

/** The port is a session's and says nothing. */
function hostOf(peer: string): string {
  return peer.replace(/:\d+$/, '');
}
