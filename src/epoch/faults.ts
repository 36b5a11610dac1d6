/**
 * The one list of planted faults: each breaks a promise on purpose, so that a test can show that
 * it would notice. Only an agent started with `--unsafe-allow-faults` accepts them.
 */
export const FAULTS = {
  'hold-open': 'Output passes unheld while the domain is said to be protected.',
  'release-early': 'The output of an epoch is released when it closes, before its commit.',
  'release-when-shipped':
    'The output of an epoch is released when it is handed to the socket, before its commit.',
  'drop-range': 'One dirty range of every tenth checkpoint is not shipped.',
  'shift-barrier': 'Disk writes are shipped as those of the next epoch.',
} as const;

export type Fault = keyof typeof FAULTS;

export function isFault(name: string): name is Fault {
  return Object.hasOwn(FAULTS, name);
}
