import { defineCommand } from './command.js';
import { EXIT } from './exit-codes.js';
import { pc, printJson, printLine } from './output.js';

/** `understudy check DOMAIN`: every reason against protecting it, at once. */
export const checkCommand = defineCommand({
  command: 'check <domain>',
  describe: 'say whether a domain can be protected, and every reason why not',
  options: (yargs) =>
    yargs
      .positional('domain', { type: 'string', demandOption: true, describe: 'libvirt domain' })
      .option('backup', {
        type: 'string',
        describe:
          'ask this backup (a host by name, or HOST[:PORT]) whether it has room for the disks',
      })
      .example('$0 check web1', 'list every reason against protecting web1')
      .example('$0 check web1 --backup 10.0.0.2', 'and whether that host could be its backup'),
  run: async ({ domain, backup, json }, client) => {
    const report = await client.check(domain, backup);
    if (json) printJson(report);
    else {
      printLine(
        report.protectable
          ? `${domain}: ${pc.green('can be protected')}`
          : `${domain}: ${pc.red('cannot be protected')}`,
      );
      for (const { code, message, remedy } of report.refusals) {
        printLine(`  ${pc.red('✗')} ${code}  ${message}`);
        printLine(`    ${pc.dim(remedy)}`);
      }
      for (const { code, message, remedy } of report.warnings) {
        printLine(`  ${pc.yellow('!')} ${code}  ${message}`);
        printLine(`    ${pc.dim(remedy)}`);
      }
      for (const { what, detail } of report.found) {
        printLine(`  ${pc.green('✓')} ${what}: ${detail}`);
      }
    }
    return report.protectable ? EXIT.ok : EXIT.refused;
  },
});
