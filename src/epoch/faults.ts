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
  'spoil-state': 'No QEMU can load the device state that is shipped: every promotion fails.',
} as const;

export type Fault = keyof typeof FAULTS;

export function isFault(name: string): name is Fault {
  return Object.hasOwn(FAULTS, name);
}

/** After the file header (8 bytes), the section's mark, number and length of its name (migration/savevm.c). */
const FIRST_SECTION_NAME = 8 + 1 + 4 + 1;

/** The fault `spoil-state`: the first section's name begins with its neighbour in ASCII. */
export function spoilState(deviceState: Buffer): void {
  deviceState[FIRST_SECTION_NAME] = (deviceState[FIRST_SECTION_NAME] ?? 0) ^ 1;
}
