/** Every catalogue of codes in the program, in the order in which docs/errors.md lists them. */
import { agentErrors } from '../agent/errors.js';
import { chaosErrors } from '../chaos/errors.js';
import { cliErrors } from '../cli/errors.js';
import { clusterErrors } from '../cluster/errors.js';
import { configErrors } from '../config/errors.js';
import { diskErrors } from '../diskmirror/errors.js';
import { epochErrors } from '../epoch/errors.js';
import type { ErrorCatalogue } from '../errors.js';
import { failoverErrors } from '../failover/table.js';
import { termErrors } from '../failover/term-store.js';
import { checkNotes, checkRefusals } from '../hypervisor/check-codes.js';
import { hypervisorErrors } from '../hypervisor/errors.js';
import { libvirtErrors } from '../hypervisor/libvirt-error.js';
import { labErrors } from '../lab/errors.js';
import { holdErrors } from '../netbuffer/errors.js';
import { pkiErrors } from '../pki/errors.js';
import { wireErrors } from '../wire/errors.js';

export interface ErrorArea {
  readonly title: string;
  /** One sentence: where an operator meets these codes. */
  readonly about: string;
  readonly catalogue: ErrorCatalogue;
}

export const ERROR_AREAS: readonly ErrorArea[] = [
  {
    title: 'Why a domain cannot be protected',
    about: '`understudy check` prints all that apply at once; `protect` refuses with them.',
    catalogue: checkRefusals,
  },
  {
    title: 'What to know about a domain that can be protected',
    about: 'Notes of `understudy check`, and the warnings of `status`. They refuse nothing.',
    catalogue: checkNotes,
  },
  {
    title: 'Agent and sessions',
    about: 'Answers of the control API, and reasons in `status`.',
    catalogue: agentErrors,
  },
  {
    title: 'Epochs',
    about: 'A checkpoint could not be taken, or was not accepted.',
    catalogue: epochErrors,
  },
  {
    title: 'Disks',
    about: 'The mirror on the primary, the replica and its journal on the backup.',
    catalogue: diskErrors,
  },
  {
    title: 'Failover',
    about: 'What the state table or the arbiter refuses; see [states.md](states.md).',
    catalogue: failoverErrors,
  },
  {
    title: 'Terms',
    about: 'The durable record of who may run a domain.',
    catalogue: termErrors,
  },
  {
    title: 'Output hold',
    about: 'The layout of taps and bridge that holds what the guest sends.',
    catalogue: holdErrors,
  },
  {
    title: 'Between two hosts',
    about: 'Each costs at most the connection on which it happens.',
    catalogue: wireErrors,
  },
  {
    title: 'Certificates',
    about: 'Of this host itself; of other hosts, see above.',
    catalogue: pkiErrors,
  },
  {
    title: 'Configuration',
    about: 'The files under /etc/understudy. The message begins with the file and the line.',
    catalogue: configErrors,
  },
  {
    title: 'QEMU',
    about: 'Pause, memory layout, device state, standby.',
    catalogue: hypervisorErrors,
  },
  {
    title: 'libvirt',
    about: 'What libvirt answered, sorted by what to do about it.',
    catalogue: libvirtErrors,
  },
  {
    title: 'Hosts',
    about: 'Raised by `understudy host`.',
    catalogue: clusterErrors,
  },
  {
    title: 'Command line',
    about: 'Raised by `understudy` itself, before or after it asked the agent.',
    catalogue: cliErrors,
  },
  {
    title: 'Laboratory',
    about: 'Two hosts on one machine: `understudy lab`, the demo and the tests.',
    catalogue: labErrors,
  },
  {
    title: 'Chaos script',
    about:
      '`understudy-chaos`: faults put into a pair of hosts on purpose; see [chaos.md](chaos.md).',
    catalogue: chaosErrors,
  },
];
