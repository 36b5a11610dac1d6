import { defineCommand } from './command.js';
import { EXIT } from './exit-codes.js';
import { hostConfig, withConfigOption } from './host-options.js';
import { hostStepLine } from './host-steps.js';
import { printJson, printLine } from './output.js';

/** `understudy host start`: what `host add` does on another host, here. */
export const hostStartCommand = defineCommand({
  command: 'start',
  describe: 'start this host’s agent, now and at each boot, and install the libvirt hook',
  options: (yargs) => withConfigOption(yargs).example('$0 host start', 'after `host init`'),
  run: async (options) => {
    const { startAgent } = await import('../cluster/start.js');
    const config = await hostConfig(options);
    const host = await startAgent(config, (step, detail) => {
      if (!options.json) printLine(hostStepLine('this host', step, detail));
    });
    if (options.json) printJson(host);
    return EXIT.ok;
  },
});
