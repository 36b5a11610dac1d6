import { errorsOf } from '../errors.js';

export const cliErrors = {
  CLI_USAGE: {
    meaning: 'The command line is wrong.',
    remedy: 'See `understudy --help` or `understudy COMMAND --help`.',
  },
} as const;

export const cliError = errorsOf(cliErrors);
