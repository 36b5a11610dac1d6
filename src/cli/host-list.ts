import { defineCommand } from './command.js';
import { EXIT } from './exit-codes.js';
import { hostConfig, withConfigOption } from './host-options.js';
import { pc, printJson, printLine, printTable } from './output.js';

/** `understudy host list`: the hosts, and whether their agents answer. */
export const hostListCommand = defineCommand({
  command: 'list',
  describe: 'the hosts of the cluster, and whether their agents answer',
  options: (yargs) => withConfigOption(yargs).example('$0 host list', 'who is of the cluster'),
  run: async (options) => {
    const { listHosts } = await import('../cluster/list.js');
    const list = await listHosts(await hostConfig(options));
    if (options.json) {
      printJson(list);
      return EXIT.ok;
    }
    if (list.hosts.length === 0) {
      printLine('this host is of no cluster yet: `understudy host init` here, or `host add` there');
      return EXIT.ok;
    }
    const rows = list.hosts.map(({ name, addresses, port, here, answers, reason }) => [
      here ? `${name} (here)` : name,
      addresses.join(', '),
      String(port),
      answers ? pc.green('answers') : pc.red(reason?.code ?? ''),
    ]);
    printTable(['NAME', 'ADDRESSES', 'PORT', 'AGENT'], rows);
    for (const { name, reason } of list.hosts) {
      if (reason !== undefined) printLine(`${name}: ${reason.message}\n  ${pc.dim(reason.remedy)}`);
    }
    if (list.certificateExpires !== undefined) {
      printLine(`certificate of this host: until ${list.certificateExpires.toISOString()}`);
    }
    return EXIT.ok;
  },
});
