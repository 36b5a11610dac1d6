/** What can go wrong between us, libvirt and QEMU: `HYP_…`, each with its meaning and remedy. */
import { errorsOf } from '../errors.js';

export const hypervisorErrors = {
  HYP_QMP_FAILED: {
    meaning: 'QEMU refused a monitor command.',
    remedy: "Read the message; look for the domain's log under /var/log/libvirt/qemu.",
  },
  HYP_MONITOR_BAD_REPLY: {
    meaning:
      'QEMU or libvirt answered something that this version of understudy does not understand.',
    remedy: 'Check that QEMU and libvirt are supported versions; report the reply.',
  },
  HYP_MONITOR_TIMED_OUT: {
    meaning: 'A call to libvirt or a monitor command was not answered in time.',
    remedy:
      'See whether QEMU is stuck (a hung disk or network target) and whether another libvirt job holds the domain: virsh domjobinfo.',
  },
  HYP_MONITOR_CLOSED: {
    meaning: 'QEMU left the monitor that it has for understudy alone.',
    remedy:
      'Nothing: pauses go through libvirt until it connects again. If the guest is gone, its end is told by itself.',
  },
  HYP_XML_BAD: {
    meaning: 'A domain description is not well-formed or lacks a required part.',
    remedy:
      'Compare virsh dumpxml on the primary; both hosts must run the same understudy version.',
  },
  HYP_NOT_RUNNING: {
    meaning: 'The operation needs a running domain.',
    remedy: 'Start the domain (virsh start) and try again.',
  },
  HYP_PROCESS_NOT_FOUND: {
    meaning: "The domain's QEMU process is not visible or is not the one expected.",
    remedy:
      'Run understudy as root on the host itself, in the same PID namespace as QEMU, with /proc mounted without hidepid.',
  },
  HYP_RAM_MAP_BAD: {
    meaning: "The guest's memory layout could not be established with certainty.",
    remedy:
      'Report the domain XML and the output of: virsh qemu-monitor-command --hmp DOMAIN info mtree -f',
  },
  HYP_GATE_FAILED: {
    meaning: 'A pause did not run to its end: QEMU could not write its device state to us.',
    remedy:
      'Look at the cause. If QEMU may not open the gate (AppArmor, SELinux), choose the stopped pause mode.',
  },
  HYP_GUEST_NOT_RESUMED: {
    meaning: 'After a failed pause the guest did not go on running.',
    remedy: 'Resume it by hand: virsh resume DOMAIN.',
  },
  HYP_DEVICE_STATE_BAD: {
    meaning: 'A device state is not whole or not of the expected format; it was not given to QEMU.',
    remedy: 'The checkpoint is unusable; promote an earlier one or let the next epoch replace it.',
  },
  HYP_STANDBY_FILE_MISSING: {
    meaning: 'The standby needs files that this host does not have.',
    remedy: 'Copy the files to the same paths on the backup host.',
  },
  HYP_STANDBY_CONFLICT: {
    meaning: 'A guest of the same uuid runs on the host that should hold its standby.',
    remedy: 'Find out which of the two is right; end the other one: virsh destroy DOMAIN.',
  },
  HYP_STANDBY_START_FAILED: {
    meaning: 'The standby did not come up waiting for a checkpoint.',
    remedy: "Read the cause and the domain's log under /var/log/libvirt/qemu on the backup.",
  },
  HYP_STANDBY_MEMORY: {
    meaning: "The standby's memory is not backed by memfd as it must be.",
    remedy:
      'Check that QEMU supports memory-backend-memfd and that no hook rewrites the domain XML.',
  },
  HYP_STANDBY_STATE: {
    meaning: 'The standby is not in the state that the operation needs.',
    remedy: 'A standby can be promoted once; destroy it and start a fresh one.',
  },
  HYP_LOAD_FAILED: {
    meaning: 'QEMU did not accept the device state.',
    remedy:
      "Compare QEMU version, machine type and devices of both hosts; the standby's log names the device.",
  },
  HYP_PROMOTE_FAILED: {
    meaning: 'The device state is loaded, but the promoted guest does not run.',
    remedy:
      'Look at virsh domstate --reason; resume by hand only if the primary is certainly dead.',
  },
  HYP_MIRROR_START_FAILED: {
    meaning: 'A disk could not be mirrored; no disk of the guest is.',
    remedy:
      'Read the cause; another block job on the disk (virsh blockjob DOMAIN DISK) or a full run directory is the usual one.',
  },
  HYP_MIRROR_LOST: {
    meaning:
      'The mirror of a disk has ended or is not in step: later writes of the guest would be missing on the backup.',
    remedy:
      'Nothing: disks are mirrored again by themselves. If it happens again, look for who ends the job (virsh event) and at the log of the domain.',
  },
} as const;

export const hypervisorError = errorsOf(hypervisorErrors);

export const badDeviceState = (why: string) =>
  hypervisorError('HYP_DEVICE_STATE_BAD', `bad device state: ${why}`, {
    operation: 'load device state',
  });
