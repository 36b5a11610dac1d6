import { defineCommand } from './command.js';
import { EXIT } from './exit-codes.js';
import { printJson, printLine } from './output.js';

/** `understudy switchover DOMAIN`, on either host: the domain goes to the other one, nothing lost. */
export const switchoverCommand = defineCommand({
  command: 'switchover <domain>',
  describe: 'move a protected domain to its other host, planned: nothing is lost',
  options: (yargs) =>
    yargs
      .positional('domain', { type: 'string', demandOption: true, describe: 'libvirt domain' })
      .example('$0 switchover web1', 'before this host is switched off; again, to have it back'),
  run: async ({ domain, json }, client) => {
    const status = await client.switchover(domain);
    const here = status.role === 'backup';
    if (json) printJson(status);
    else {
      printLine(`${domain}: runs ${here ? 'here' : 'on the other host'} now`);
      printLine('  it is protected again by itself, as soon as this direction has its copy');
    }
    return EXIT.ok;
  },
});
