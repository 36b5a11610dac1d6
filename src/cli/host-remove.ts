import { defineCommand } from './command.js';
import { EXIT } from './exit-codes.js';
import { hostConfig, withConfigOption } from './host-options.js';
import { printJson, printLine } from './output.js';

/** `understudy host remove NAME`: this host has nothing to do with it any more. */
export const hostRemoveCommand = defineCommand({
  command: 'remove <name>',
  describe: 'take a host off this host’s list: it is neither called nor let in any more',
  options: (yargs) =>
    withConfigOption(yargs)
      .positional('name', { type: 'string', demandOption: true, describe: 'its name' })
      .option('force', {
        type: 'boolean',
        default: false,
        describe: 'also while a domain is protected together with it',
      })
      .example('$0 host remove b', 'do so on every other host as well'),
  run: async (options, client) => {
    const { name, force, json } = options;
    const { removeHost } = await import('../cluster/remove.js');
    await removeHost(await hostConfig(options), name, { client, force });
    if (json) printJson({ name, removed: true });
    else printLine(`${name} is removed here; remove it on the other hosts too, and end its agent`);
    return EXIT.ok;
  },
});
