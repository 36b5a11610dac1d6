import { defineCommand } from './command.js';
import { EXIT } from './exit-codes.js';
import { printJson, printLine } from './output.js';

/** `understudy checkpoint DOMAIN [--wait]`: the state of this moment, safe on the backup. */
export const checkpointCommand = defineCommand({
  command: 'checkpoint <domain>',
  describe: 'begin a checkpoint now; with --wait, return when the present state is committed',
  options: (yargs) =>
    yargs
      .positional('domain', { type: 'string', demandOption: true, describe: 'libvirt domain' })
      .option('wait', {
        type: 'boolean',
        default: false,
        describe: 'return when the backup holds the state that the guest has now',
      })
      .example('$0 checkpoint web1 --wait', 'before something risky'),
  run: async ({ domain, wait, json }, client) => {
    const answer = await client.checkpoint(domain, wait);
    if (json) printJson({ domain, ...answer });
    else if (answer.epoch === undefined) printLine(`${domain}: a checkpoint begins`);
    else printLine(`${domain}: committed with epoch ${answer.epoch}`);
    return EXIT.ok;
  },
});
