import type { AgentClient } from '../agent/control/client.js';
import type { DomainStatus } from '../agent/status.js';
import { defineCommand } from './command.js';
import { printEpochs } from './epochs.js';
import { cliError } from './errors.js';
import { EXIT } from './exit-codes.js';
import { printDomains } from './list.js';
import { LiveView } from './live-view.js';
import { isGood, printJson, printLine } from './output.js';
import { statusLines } from './status-rows.js';
import { watch } from './watch.js';

const WATCH_SECONDS_DEFAULT = 1;
/** Looking more often than that shows nothing new. */
const WATCH_SECONDS_MIN = 0.1;
const WATCH_SECONDS_MAX = 3_600;

/** `understudy status [DOMAIN]`: one line each, or one domain in full; once or live. */
export const statusCommand = defineCommand({
  command: 'status [domain]',
  describe: 'show what is protected, and how well',
  options: (yargs) =>
    yargs
      .positional('domain', { type: 'string', describe: 'libvirt domain; all when left out' })
      .option('watch', {
        alias: 'w',
        type: 'string',
        describe: `live, every so many seconds (default ${WATCH_SECONDS_DEFAULT}), until Ctrl-C`,
      })
      .option('epochs', {
        type: 'boolean',
        default: false,
        describe: 'where the time of its newest epochs went',
      })
      .option('count', { type: 'number', describe: 'how many epochs (with --epochs)' })
      .example('$0 status', 'all domains of this host')
      .example('$0 status web1 --watch', 'pause, latency, dirty rate and lag of web1, live')
      .example('$0 status web1 --epochs', 'gate, scan, copy, … of the newest epochs')
      .example('$0 status web1 --json', 'one domain, for programs'),
  run: async ({ domain, watch: every, epochs, count, json }, client) => {
    if (epochs) {
      if (domain === undefined) throw cliError('CLI_USAGE', '--epochs needs a domain');
      const report = await client.epochs(domain, count);
      if (json) printJson(report);
      else printEpochs(report);
      return EXIT.ok;
    }
    if (every !== undefined) return watchStatus(client, watching({ domain, every, json }));
    if (domain === undefined) {
      const domains = await client.list();
      if (json) printJson({ domains });
      else printDomains(domains);
      return EXIT.ok;
    }
    const status = await client.status(domain);
    if (json) printJson(status);
    else statusLines(status).forEach(printLine);
    return isGood(status.state) ? EXIT.ok : EXIT.notProtected;
  },
});

interface Watching {
  domain: string | undefined;
  seconds: number;
  json: boolean;
}

/** `--watch` may have a number, or stand before the domain. @throws CLI_USAGE */
export function watching(asked: {
  domain: string | undefined;
  every: string;
  json: boolean;
}): Watching {
  const { domain, every, json } = asked;
  if (every === '') return { domain, seconds: WATCH_SECONDS_DEFAULT, json };
  const seconds = Number(every);
  if (Number.isNaN(seconds) && domain === undefined) {
    return { domain: every, seconds: WATCH_SECONDS_DEFAULT, json };
  }
  if (seconds >= WATCH_SECONDS_MIN && seconds <= WATCH_SECONDS_MAX)
    return { domain, seconds, json };
  const message = `--watch ${every} is not ${WATCH_SECONDS_MIN} to ${WATCH_SECONDS_MAX} seconds`;
  throw cliError('CLI_USAGE', message);
}

function watchStatus(client: AgentClient, { domain, seconds, json }: Watching): Promise<number> {
  const view = new LiveView();
  const look = async (): Promise<(columns: number) => readonly string[]> => {
    const domains = domain === undefined ? await client.list() : [await client.status(domain)];
    if (json) return () => [JSON.stringify(domain === undefined ? { domains } : domains[0])];
    view.sample(domains);
    const one = domain === undefined ? undefined : (domains[0] as DomainStatus);
    return (columns) =>
      one === undefined ? view.table(domains, columns) : view.domain(one, columns);
  };
  return watch({ everyMs: seconds * 1000, look, json });
}
