import { defineCommand } from './command.js';
import { EXIT } from './exit-codes.js';
import { pc, printJson, printLine } from './output.js';
import { waitShowingProgress } from './progress.js';

/** `understudy resume DOMAIN`: protects a paused domain as it was; returns when it is protected. */
export const resumeCommand = defineCommand({
  command: 'resume <domain>',
  describe: 'protect a paused domain again, as it was',
  options: (yargs) =>
    yargs
      .positional('domain', { type: 'string', demandOption: true, describe: 'libvirt domain' })
      .option('wait', {
        type: 'boolean',
        default: true,
        describe: 'wait until the domain is protected',
      })
      .option('timeout', { type: 'number', default: 600, describe: 'seconds to wait' })
      .example('$0 resume web1', 'after `pause`, with the same backup and policy'),
  run: async ({ domain, wait, timeout, json }, client) => {
    const first = await client.resume(domain);
    const status = wait
      ? await waitShowingProgress(client, domain, { timeoutS: timeout, quiet: json })
      : first;
    if (json) printJson(status);
    else if (wait) printLine(`${domain}: ${pc.green('protected')} by ${status.peer}`);
    return EXIT.ok;
  },
});
