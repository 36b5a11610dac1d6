import type { Command } from './command.js';
import { hostAddCommand } from './host-add.js';
import { hostCertificateCommand } from './host-certificate.js';
import { hostInitCommand } from './host-init.js';
import { hostListCommand } from './host-list.js';
import { hostRemoveCommand } from './host-remove.js';
import { hostStartCommand } from './host-start.js';

/** `understudy host …`: which hosts trust each other. */
export const hostCommand: Command = (parser, onExit) => {
  parser.command('host <command>', 'the hosts of the cluster, and their certificates', (yargs) => {
    const commands = [
      hostInitCommand,
      hostStartCommand,
      hostAddCommand,
      hostListCommand,
      hostRemoveCommand,
      hostCertificateCommand,
    ];
    for (const declare of commands) declare(yargs, onExit);
    return yargs.demandCommand(1, 'init, start, add, list, remove or certificate?');
  });
};
