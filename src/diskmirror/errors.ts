import { errorsOf } from '../errors.js';

export const diskErrors = {
  DISK_MIRROR_LOST: {
    meaning: 'A disk’s mirror is no longer whole, so no later checkpoint can count.',
    remedy:
      'Output stays held and the mirror is started again by itself; the message says what broke it.',
  },
  DISK_MIRROR_NOT_STARTED: {
    meaning: 'The server that the disks’ mirrors write to could not be started on this host.',
    remedy:
      'See the message: the state directory must be on a local file system with room, and the run directory’s path short.',
  },
  DISK_NO_SPACE: {
    meaning: 'The backup has too little free space for a replica of the disk.',
    remedy: 'Free space where the message says, or have replicas kept elsewhere (--replica-dir).',
  },
  DISK_REPLICA_UNUSABLE: {
    meaning: 'The file or device that is to hold a replica cannot be used.',
    remedy:
      'Look at the path in the message: it must be a raw file or block device of the disk’s size that nothing else uses; a file that is not needed can be removed.',
  },
  DISK_STORE_FAILED: {
    meaning: 'The backup could not store what it holds of the disks.',
    remedy:
      'Look at the disk and the free space of the backup. Replicas stay at their last whole epoch; protect the domain again once it is repaired.',
  },
  DISK_JOURNAL_DAMAGED: {
    meaning: 'The journal of the replicas is damaged, so their epoch is not known.',
    remedy:
      'Check the backup’s disk and file system, then remove the journal directory that is named: the disks are compared and repaired at the next protection.',
  },
  DISK_CHUNK_MALFORMED: {
    meaning: 'A part of the write log names a range that the disks do not have.',
    remedy: 'Install the same understudy version on both hosts and report this with the log.',
  },
  DISK_LOG_INCOMPLETE: {
    meaning: 'A checkpoint does not match the disk writes that came with it; it was thrown away.',
    remedy: 'Check the network and the memory of both hosts; the connection is set up anew.',
  },
  DISK_RECORD_UNREADABLE: {
    meaning: 'The durable record of a domain’s disks exists but is not what we wrote.',
    remedy: 'Find out which host has the newer disks, then remove the named file by hand.',
  },
} as const;

export const diskError = errorsOf(diskErrors);
