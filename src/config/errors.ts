/** What can be wrong with the files under /etc/understudy. The message begins with FILE:LINE. */
import { errorsOf } from '../errors.js';

export const configErrors = {
  CONFIG_MISSING: {
    meaning: 'A configuration file that was named does not exist.',
    remedy: 'Check the path; without --config, /etc/understudy/config.yaml is read if it is there.',
  },
  CONFIG_UNREADABLE: {
    meaning: 'A configuration file exists and cannot be read.',
    remedy: 'Run as root, and check that it is a plain file.',
  },
  CONFIG_NOT_YAML: {
    meaning: 'A configuration file is not YAML.',
    remedy: 'Mend the line that the message names: indent with spaces, two for each level.',
  },
  CONFIG_UNKNOWN_KEY: {
    meaning: 'A configuration file has a key that understudy does not know.',
    remedy: 'Correct the key or take it out; docs/operations.md lists all of them.',
  },
  CONFIG_WRONG_VALUE: {
    meaning: 'A value in a configuration file is of the wrong kind or out of its bounds.',
    remedy: 'Mend the line that the message names; docs/operations.md lists what is allowed.',
  },
} as const;

export const configError = errorsOf(configErrors);
