import { errorsOf } from '../errors.js';

export const agentErrors = {
  AGENT_ALREADY_PROTECTED: {
    meaning: 'The domain has a session on this host already.',
    remedy: 'Look at `understudy status DOMAIN`; `understudy unprotect DOMAIN` ends it.',
  },
  AGENT_NOT_PROTECTED: {
    meaning: 'The domain has no session on this host.',
    remedy: 'Look at `understudy status`; ask on the other host, or protect the domain first.',
  },
  AGENT_NOT_ROOT: {
    meaning: 'understudy reads guest memory and makes taps; both need root.',
    remedy: 'Run it as root.',
  },
  AGENT_SESSION_DIED: {
    meaning: 'A session process ended without being asked.',
    remedy:
      'The domain’s output stays held. See the session’s log; protect the domain again, or unprotect it.',
  },
  AGENT_SESSION_SILENT: {
    meaning: 'A session process runs but does not answer its agent.',
    remedy: 'See whether it is stopped or starved; its log is under the agent’s run directory.',
  },
  AGENT_SESSION_NOT_READY: {
    meaning: 'A session process did not come up.',
    remedy: 'See the session’s log under the agent’s run directory.',
  },
  AGENT_BAD_REQUEST: {
    meaning: 'A request to the agent does not have the documented shape.',
    remedy: 'See the command’s --help; use the same understudy version for CLI and agent.',
  },
  AGENT_UNREACHABLE: {
    meaning: 'No agent answers on the control socket.',
    remedy:
      'Start the agent of this host (`understudy host start`), or name its socket with --socket.',
  },
  AGENT_SOCKET_FORBIDDEN: {
    meaning: 'The control socket belongs to root, and the command does not run as root.',
    remedy: 'Run the command as root.',
  },
  AGENT_TOO_MANY_FOLLOWERS: {
    meaning: 'So many clients follow the events of this host that no further one is let in.',
    remedy: 'End `understudy events --follow` where it is not needed.',
  },
  AGENT_FAULTS_REFUSED: {
    meaning: 'A planted fault was asked for and this agent does not allow that.',
    remedy: 'Planted faults are for tests: start the agent with --unsafe-allow-faults.',
  },
  AGENT_REFUSED_BY_CHECK: {
    meaning: 'The domain cannot be protected as it is.',
    remedy: 'Run `understudy check DOMAIN` for every reason and what to do about each.',
  },
  AGENT_WAIT_TIMED_OUT: {
    meaning: 'What was waited for did not happen within the bound; it goes on in the background.',
    remedy: 'Look at `understudy status DOMAIN`; wait longer with --timeout.',
  },
  AGENT_ENDED_UNPROTECTED: {
    meaning: 'Protection ended before the first checkpoint.',
    remedy: 'Look at `understudy status DOMAIN` and at the session’s log.',
  },
  AGENT_BACKUP_UNSURE: {
    meaning: 'The backup did not confirm that its standby is gone, so it might still take over.',
    remedy:
      'Make the backup reachable, or make sure that it does not run the domain and use --force.',
  },
  AGENT_BACKUP_DIFFERS: {
    meaning: 'The standby did not come up as the same machine as the primary’s guest.',
    remedy:
      'Install the same QEMU version on both hosts and give the domain a versioned machine type and a named CPU model.',
  },
  AGENT_STANDBY_DIED: {
    meaning: 'The standby’s QEMU ended, or its memory could not be written.',
    remedy:
      'See the domain’s QEMU log on the backup and its free memory; protection starts anew by itself.',
  },
  AGENT_BACKUP_LACKS: {
    meaning: 'The backup does not have a bridge or a file that the domain’s definition names.',
    remedy: 'Make it there under the same name, or change the domain.',
  },
  AGENT_NO_MEMORY: {
    meaning: 'The backup has too little free memory for the standby.',
    remedy: 'Free memory on the backup, or give it more.',
  },
  AGENT_GUEST_GONE: {
    meaning: 'The guest was ended on purpose while it was protected.',
    remedy: 'Start the domain and protect it again.',
  },
  AGENT_GUEST_DIED: {
    meaning: 'The guest’s QEMU died on the primary; the backup takes over.',
    remedy:
      'Look at `understudy status DOMAIN` on the other host; do not start the domain on this one.',
  },
  AGENT_DEVICES_CHANGED: {
    meaning: 'A device was plugged into or out of the guest while it was protected.',
    remedy:
      'Protection starts anew by itself. If the backup could not be reached, unprotect the domain and protect it again.',
  },
  AGENT_NO_EPOCHS: {
    meaning:
      'The domain is not protected on this host as primary, so there are no checkpoints to take or show.',
    remedy:
      'Look at `understudy status DOMAIN`; ask on the primary, and wait until it is protected.',
  },
  AGENT_OUTPUT_UNHELD: {
    meaning:
      'Somebody changed the interfaces or traffic filters that hold the guest’s output; some packets left before their checkpoint.',
    remedy:
      'It was put back at once and a checkpoint covers what left. Find what changes them (network scripts, `tc`, firewall tools) and make it leave the taps alone.',
  },
  AGENT_LIBVIRT_LOST: {
    meaning: 'The connection to libvirt broke while a domain was protected.',
    remedy:
      'See whether libvirtd was restarted or died. The guest runs on; its output is held until libvirt and the backup answer again, by itself.',
  },
  AGENT_NOT_PRIMARY: {
    meaning: 'Only the host that runs the domain can do that.',
    remedy: 'Run the command on the other host; `understudy status DOMAIN` names it.',
  },
  AGENT_SWITCHOVER_FAILED: {
    meaning: 'The domain was not given to its other host.',
    remedy:
      'It runs here, and is protected again by itself as soon as the other host can be reached; then try again.',
  },
  AGENT_RECORD_UNREADABLE: {
    meaning: 'What is written on this host of how a domain is protected cannot be read.',
    remedy:
      'Find out which host runs the domain, remove the named file, and protect it again there.',
  },
  AGENT_NOT_BACKUP: {
    meaning: 'Only the backup can take a domain over, and this host is its primary.',
    remedy: 'Run the command on the other host; `understudy status DOMAIN` names it.',
  },
} as const;

export const agentError = errorsOf(agentErrors);
