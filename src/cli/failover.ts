import { defineCommand } from './command.js';
import { EXIT } from './exit-codes.js';
import { ms, printJson, printLine } from './output.js';

/** `understudy failover DOMAIN`, on the backup: take over now. */
export const failoverCommand = defineCommand({
  command: 'failover <domain>',
  describe: 'on the backup: take the domain over from its last committed checkpoint',
  options: (yargs) =>
    yargs
      .positional('domain', { type: 'string', demandOption: true, describe: 'libvirt domain' })
      .example('$0 failover web1', 'the primary is to be switched off, or hangs'),
  run: async ({ domain, json }, client) => {
    const status = await client.failover(domain);
    if (json) printJson(status);
    else printLine(`${domain}: runs here, promoted in ${ms(status.takeover?.promoteMs ?? 0)}`);
    return EXIT.ok;
  },
});
