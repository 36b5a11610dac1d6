/** What can go wrong in the laboratory, each with what to do about it. */
import { errorsOf } from '../errors.js';

export const labErrors = {
  LAB_NOT_ROOT: {
    meaning: 'The laboratory makes network and mount namespaces, which only root may.',
    remedy: 'Run the command as root.',
  },
  LAB_OPTION_INVALID: {
    meaning: 'An option of the laboratory is outside what it can do.',
    remedy: 'Correct the option; the message says which values are allowed.',
  },
  LAB_PREFIX_BUSY: {
    meaning: 'Another living process owns the laboratory with this prefix.',
    remedy: 'End that process, or choose another prefix (UNDERSTUDY_LAB_PREFIX).',
  },
  LAB_NOT_UP: {
    meaning: 'There is no laboratory with this prefix, or its record is not readable.',
    remedy: 'Start it first; when a start was interrupted, tear it down and start it again.',
  },
  LAB_COMMAND_FAILED: {
    meaning: 'A system command that the laboratory needs ended with an error or took too long.',
    remedy: 'Read the output in the message; run script/setup when a program is missing.',
  },
  LAB_LIBVIRTD_FAILED: {
    meaning: 'The libvirtd of a laboratory host did not start or does not answer.',
    remedy: 'Read the end of its log in the message; script/setup installs what it needs.',
  },
  LAB_GUEST_NOT_READY: {
    meaning: 'A guest did not come up within the limit, or said on its console why it cannot.',
    remedy: 'Read the console log named in the message; on a loaded machine, try again.',
  },
  LAB_GUEST_SILENT: {
    meaning: 'A guest started twice and said nothing at all on its console.',
    remedy: 'The message says where its processors stand; see whether the machine is overloaded.',
  },
  LAB_GUEST_NO_ANSWER: {
    meaning: 'A program in the guest did not answer a question within the limit.',
    remedy: 'Check that the guest runs and that `run` named the program.',
  },
  LAB_LISTENER_FAILED: {
    meaning: 'The program that hears what guests say ended or missed a frame.',
    remedy: 'Nothing is proven by that run: read the message and try again on an idle machine.',
  },
  LAB_LISTENER_FULL: {
    meaning: 'Guests said more than the laboratory keeps in memory between two takeovers.',
    remedy: 'Let the talker say less (talker_hz), or take over sooner.',
  },
  LAB_AGENT_NOT_READY: {
    meaning: 'An agent in the laboratory did not come up.',
    remedy: 'Read the log named in the message.',
  },
  LAB_STATE_NOT_REACHED: {
    meaning: 'A domain in the laboratory did not reach the state that was waited for.',
    remedy: 'Read the logs of the agents and sessions under the hosts’ run directories.',
  },
  LAB_CLIENT_FAILED: {
    meaning: 'The client of the demo could not talk to the guest.',
    remedy: 'Read the message; the guest’s console log says whether it runs.',
  },
  LAB_DISK_UNREADABLE: {
    meaning: 'What a guest should have on its disk cannot be read from the disk’s image.',
    remedy: 'The message says what is missing or damaged; `e2fsck -fn` on a copy says more.',
  },
  LAB_KERNEL_VM_FAILED: {
    meaning: 'The virtual machine with the laboratory’s kernel did not run its script to the end.',
    remedy: 'Read the console in the message; on a loaded machine, try again.',
  },
  LAB_TEARDOWN_INCOMPLETE: {
    meaning: 'Processes of the laboratory survived SIGKILL beyond the limit.',
    remedy:
      'They are in an uninterruptible wait of the kernel: tear down again once they are gone.',
  },
} as const;

export const labError = errorsOf(labErrors);
