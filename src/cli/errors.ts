import { errorsOf } from '../errors.js';

export const CLI_ERRORS = {
  CLI_USAGE: {
    meaning: 'The command line is wrong.',
    remedy: 'See `understudy --help` or `understudy COMMAND --help`.',
  },
  CLI_TIMED_OUT: {
    meaning: 'What was waited for did not happen within the bound; it goes on in the background.',
    remedy: 'Look at `understudy status DOMAIN`; wait longer with --timeout.',
  },
  CLI_NOT_PROTECTED: {
    meaning: 'Protection ended before the first checkpoint.',
    remedy: 'Look at `understudy status DOMAIN` and at the session’s log.',
  },
} as const;

export const cliError = errorsOf(CLI_ERRORS);
