/** What `understudy host` refuses or fails at. */
import { errorsOf } from '../errors.js';

export const clusterErrors = {
  HOST_NEEDS_ROOT: {
    meaning: 'The files under /etc/understudy belong to root.',
    remedy: 'Run the command as root.',
  },
  HOST_NAME_INVALID: {
    meaning: 'A name of a host or an address cannot stand in hosts.yaml and in a certificate.',
    remedy:
      'Names are lower-case letters, digits and hyphens; addresses come without a port. Give them with --name and --address.',
  },
  HOST_ADDRESS_NEEDED: {
    meaning: 'It is not clear under which addresses other hosts reach this one.',
    remedy: 'Give them with --address, the one on the replication network first.',
  },
  HOST_EXISTS: {
    meaning: 'The name or an address belongs to another host of the cluster already.',
    remedy: 'See `understudy host list`; choose another --name, or remove the old host first.',
  },
  HOST_UNKNOWN: {
    meaning: 'hosts.yaml has no host of that name.',
    remedy:
      'See `understudy host list`; `understudy host add root@HOST` makes another host one of them.',
  },
  HOST_IS_SELF: {
    meaning: 'A host cannot remove itself from its own list.',
    remedy:
      'Remove it on the other hosts; to leave for good, end its agent and delete its pki directory.',
  },
  HOST_IN_USE: {
    meaning: 'A domain is protected together with the host, or nobody could say that none is.',
    remedy:
      'Unprotect the domains first, and have the agent of this host running; --force removes the host all the same.',
  },
  HOST_SSH_FAILED: {
    meaning: 'No ssh connection to the host, or it broke.',
    remedy:
      'Try `ssh -o BatchMode=yes` with the same user, port and key; the public key must be in authorized_keys there. understudy uses an ssh agent, --identity or the usual keys, no passwords.',
  },
  HOST_KEY_UNKNOWN: {
    meaning: 'The host’s ssh key is not in known_hosts, so nothing says that it is the right host.',
    remedy:
      'Compare the fingerprint with `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on the host, then use --accept-new-host-key.',
  },
  HOST_KEY_CHANGED: {
    meaning: 'The host shows another ssh key than known_hosts has for it, or one that was revoked.',
    remedy:
      'Find out why. If the host was installed anew, remove the old key with `ssh-keygen -R HOST`.',
  },
  HOST_NOT_READY: {
    meaning: 'The host lacks something that understudy needs. The message lists all of it.',
    remedy: 'Mend what the message lists and run the command again.',
  },
  HOST_COMMAND_FAILED: {
    meaning: 'A command on the other host failed; the message has what it printed.',
    remedy: 'Mend what it says and run the command again: it goes on where it was.',
  },
  HOST_AGENT_SILENT: {
    meaning: 'The agent was started on the host and does not answer from here.',
    remedy:
      'See its log (`journalctl -u understudyd`, or /var/log/understudyd.log) and the firewall between the hosts.',
  },
} as const;

export const clusterError = errorsOf(clusterErrors);
