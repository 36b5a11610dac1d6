import { defineCommand } from './command.js';
import { EXIT } from './exit-codes.js';
import { printJson, printLine } from './output.js';

/** `understudy pause DOMAIN`: as without protection, until `resume`. */
export const pauseCommand = defineCommand({
  command: 'pause <domain>',
  describe: 'suspend protection; the domain runs on, and how it was protected is remembered',
  options: (yargs) =>
    yargs
      .positional('domain', { type: 'string', demandOption: true, describe: 'libvirt domain' })
      .option('force', {
        type: 'boolean',
        default: false,
        describe: 'release output even if the backup cannot confirm that it will not take over',
      })
      .example('$0 pause web1', 'while the network between the hosts is worked on'),
  run: async ({ domain, force, json }, client) => {
    const status = await client.pause(domain, force);
    if (json) printJson(status);
    else printLine(`${domain}: paused; \`understudy resume ${domain}\` protects it again`);
    return EXIT.ok;
  },
});
