import { defineCommand } from './command.js';
import { EXIT } from './exit-codes.js';
import { printJson, printLine } from './output.js';

/** `understudy unprotect DOMAIN`: the standby goes, the guest runs on plainly. */
export const unprotectCommand = defineCommand({
  command: 'unprotect <domain>',
  describe: 'end protection; the domain runs on as it is',
  options: (yargs) =>
    yargs
      .positional('domain', { type: 'string', demandOption: true, describe: 'libvirt domain' })
      .option('force', {
        type: 'boolean',
        default: false,
        describe: 'release output even if the backup cannot confirm that it will not take over',
      })
      .example('$0 unprotect web1', 'the guest runs on, nobody takes over any more')
      .example('$0 unprotect web1 --force', 'the backup is gone for good and does not run web1'),
  run: async ({ domain, force, json }, client) => {
    const status = await client.unprotect(domain, force);
    if (json) printJson(status);
    else printLine(`${domain}: unprotected`);
    return EXIT.ok;
  },
});
