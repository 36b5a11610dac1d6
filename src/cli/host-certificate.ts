import { defineCommand } from './command.js';
import { EXIT } from './exit-codes.js';
import { hostConfig, withConfigOption } from './host-options.js';
import { printJson, printLine } from './output.js';

/** `understudy host certificate NAME`: for those who bring it to its host by other means. */
export const hostCertificateCommand = defineCommand({
  command: 'certificate <name>',
  describe: 'issue a host’s certificate into a directory; leaves one that is right as it is',
  options: (yargs) =>
    withConfigOption(yargs)
      .positional('name', { type: 'string', demandOption: true, describe: 'the host’s name' })
      .option('address', {
        type: 'string',
        array: true,
        demandOption: true,
        describe: 'an address or DNS name that it is called by (repeatable)',
      })
      .option('out', {
        type: 'string',
        demandOption: true,
        describe: 'directory for ca.crt, host.crt and host.key',
      })
      .example(
        '$0 host certificate b --address 10.0.0.2 --out /root/pki-b',
        'what host b needs in /etc/understudy/pki',
      ),
  run: async (options) => {
    const { name, address: addresses, out, json } = options;
    const { issueInto } = await import('../cluster/certificate.js');
    const config = await hostConfig(options);
    const { changed, expires } = await issueInto(config.pki, { name, addresses, out });
    if (json) printJson({ name, out, changed, expires });
    else {
      const what = changed ? 'issued' : 'was right already';
      printLine(`certificate of ${name} in ${out}: ${what}, until ${expires.toISOString()}`);
    }
    return EXIT.ok;
  },
});
