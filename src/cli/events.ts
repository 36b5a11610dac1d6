import type { EventRecord } from '../agent/events/events.js';
import { defineCommand } from './command.js';
import { cliError } from './errors.js';
import { EXIT } from './exit-codes.js';
import { ended } from './interrupt.js';
import { localTime, parseAge } from './moments.js';
import { pc, printJson, printLine, stateWord } from './output.js';

/** Shown when neither a number nor a time is asked for. */
const COUNT_DEFAULT = 50;
const COUNT_FOLLOWED_DEFAULT = 10;
/** As many as the agent gives at once. */
const COUNT_MAX = 100_000;

/** `understudy events [DOMAIN]`: what happened on this host, and with `--follow` what happens. */
export const eventsCommand = defineCommand({
  command: 'events [domain]',
  describe: 'show what happened to the domains of this host',
  options: (yargs) =>
    yargs
      .positional('domain', { type: 'string', describe: 'libvirt domain; all when left out' })
      .option('follow', {
        alias: 'f',
        type: 'boolean',
        default: false,
        describe: 'go on with each event as it happens, until Ctrl-C',
      })
      .option('since', {
        type: 'string',
        describe: 'not older than that: 90s, 10m, 2h, 3d, or an ISO 8601 time',
      })
      .option('count', {
        alias: 'n',
        type: 'number',
        describe: `the newest of them (default ${COUNT_DEFAULT}; ${COUNT_FOLLOWED_DEFAULT} with --follow; all with --since)`,
      })
      .example('$0 events web1 --since 1h', 'what happened to web1 in the last hour')
      .example('$0 events --follow --json', 'each event of this host as a JSON line'),
  run: async ({ domain, follow, since, count, json }, client) => {
    const usual = follow ? COUNT_FOLLOWED_DEFAULT : COUNT_DEFAULT;
    const query = {
      domain,
      since: since === undefined ? undefined : sinceOf(since),
      count: count ?? (since === undefined ? usual : COUNT_MAX),
    };
    const print = (event: EventRecord): void =>
      json ? printJson(event) : printLine(eventWords(event));
    if (!follow) {
      const events = await client.events(query);
      if (json) printJson({ events });
      else if (events.length === 0) printLine('no events');
      else events.forEach(print);
      return EXIT.ok;
    }
    const { signal } = ended();
    for await (const event of client.followEvents(query, signal)) print(event);
    return signal.aborted ? EXIT.ok : EXIT.noAgent;
  },
});

function sinceOf(text: string): string {
  const moment = parseAge(text, new Date());
  if (moment !== undefined) return moment.toISOString();
  throw cliError('CLI_USAGE', `--since ${text} is neither an age (90s, 10m, 2h, 3d) nor a time`);
}

/** Time, domain, role, name, then what there is to say. */
export function eventWords(record: EventRecord): string {
  const { time, domain = '-', role = '-', event } = record;
  const columns = [localTime(new Date(time)), domain.padEnd(12), role.padEnd(7), event.padEnd(15)];
  return `${columns.join('  ')}  ${whatOf(record)}`.trimEnd();
}

function whatOf({ from, to, on, reason, because, ...facts }: EventRecord): string {
  const words = from === undefined || to === undefined ? [] : [`${from} → ${stateWord(to)}`];
  // What a change of state is about is said by its reason.
  if (on === undefined) words.push(factWords(facts));
  if (reason !== undefined) words.push(`${reason.code}: ${reason.message}`);
  else if (because !== undefined) words.push(pc.dim(because));
  return words.filter((word) => word !== '').join('  ');
}

/** What has a column of its own, and what only programs can use. */
const KNOWN = new Set(['time', 'domain', 'role', 'event', 'cut', 'phasesMs']);

function factWords(facts: object): string {
  return Object.entries(facts)
    .filter(([name]) => !KNOWN.has(name))
    .map(([name, value]) => `${name}=${valueWords(value)}`)
    .join(' ');
}

function valueWords(value: unknown): string {
  if (typeof value === 'number') return String(Math.round(value * 100) / 100);
  return typeof value === 'string' ? value : JSON.stringify(value);
}
