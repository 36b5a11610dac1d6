import { errorsOf } from '../errors.js';

export const epochErrors = {
  EPOCH_OUT_OF_ORDER: {
    meaning: 'A part of a checkpoint arrived for another epoch than the next one.',
    remedy: 'The checkpoint was thrown away and the connection closed; protection starts again.',
  },
  EPOCH_STAGING_FULL: {
    meaning: 'A checkpoint is larger than the guest’s memory can be.',
    remedy: 'The checkpoint was thrown away; install the same understudy version on both hosts.',
  },
  EPOCH_CHUNK_MALFORMED: {
    meaning: 'A chunk of memory does not have the documented layout or lies outside the guest.',
    remedy: 'Nothing was written; install the same understudy version on both hosts.',
  },
  EPOCH_NO_DEVICE_STATE: {
    meaning: 'A checkpoint was closed without device state.',
    remedy: 'The checkpoint was thrown away; look for the reason in the primary’s log.',
  },
  EPOCH_APPLY_FAILED: {
    meaning: 'A committed checkpoint could not be written into the standby’s memory.',
    remedy: 'Free memory on the backup and protect the domain again.',
  },
  EPOCH_PAUSE_FAILED: {
    meaning: 'The guest could not be paused for a checkpoint several times in a row.',
    remedy: 'See whether another job (migration, snapshot, backup) holds the domain.',
  },
  EPOCH_ENDED: {
    meaning: 'The epochs ended before the checkpoint that was asked for was committed.',
    remedy: 'See `understudy status` for the reason; ask again when the domain is protected.',
  },
} as const;

export const epochError = errorsOf(epochErrors);
