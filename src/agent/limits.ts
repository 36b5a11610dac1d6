/** Limits and defaults of agents and sessions. */

/** After a fault a domain is protected again without being asked. */
export const RECOVERY_DEFAULT = 'automatic' as const;

/** Between looks at a domain that cannot be recovered yet: first, and at most. */
export const RECOVERY_DELAY_MS_MIN = 250;
export const RECOVERY_DELAY_MS_MAX = 10_000;

/** Between two questions to the other host while it is waited for: it is a small one. */
export const RECOVERY_WAIT_MS_MAX = 2_000;

/** The last checkpoint of a guest that is handed over, its way to the backup, and the takeover there. */
export const SWITCHOVER_TIMEOUT_MS = 30_000;

/** Where agents listen for each other. */
export const AGENT_PORT_DEFAULT = 7788;

export const RUN_DIR_DEFAULT = '/run/understudy';
export const STATE_DIR_DEFAULT = '/var/lib/understudy';
export const REPLICA_DIR_DEFAULT = '/var/lib/understudy/replicas';

/** From fork to a listening control socket; loading the addon and libvirt takes about 200 ms. */
export const SESSION_READY_TIMEOUT_MS = 10_000;

/** From the peer agent's side this includes forking the backup session. */
export const PREPARE_TIMEOUT_MS = 15_000;

/** Tokens of a session that were given out; a primary needs one, and one more for each new attempt. */
export const SESSION_TOKENS_MAX = 16;

/** From a session’s last state to the end of its process: calls to libvirt in flight finish first. */
export const SESSION_END_TIMEOUT_MS = 10_000;

/** Between attempts to reach a lost backup: first, and at most. */
export const RECONNECT_DELAY_MS_MIN = 250;
export const RECONNECT_DELAY_MS_MAX = 5_000;

/** Between attempts to open a heartbeat path that is down; each is bounded by itself. */
export const PATH_REOPEN_DELAY_MS = 2_000;

/** A QEMU that neither answers nor has ended by then is silent; libvirt tells of an end within 500 ms. */
export const VITAL_SIGN_TIMEOUT_MS = 2_000;

/** The reason that a goodbye gives when the other host shall forget the domain. */
export const GOODBYE_FOR_GOOD = 'unprotect';

/** How long a backup may take to destroy its standby when protection ends. */
export const GOODBYE_TIMEOUT_MS = 10_000;

/** Before an agent that died is started again: at first, and at most. */
export const RESPAWN_DELAY_MS_MIN = 500;
export const RESPAWN_DELAY_MS_MAX = 30_000;
/** One that lived this long was well; its death begins anew. */
export const RESPAWN_STEADY_MS = 60_000;

/** Requests to a session on this host. */
export const CONTROL_TIMEOUT_MS = 30_000;

/** Sessions run ahead of ordinary work, so that a busy guest does not look like a dead host (setpriority(2)). */
export const SESSION_NICENESS = -15;

/** A session that does not tell its status within this is not well. */
export const STATUS_TIMEOUT_MS = 2_000;

/** Epochs that a report is made of, unless another number is asked for. */
export const EPOCHS_REPORTED_DEFAULT = 1_000;

/** Chunk buffers the backup keeps for reuse, 1 MiB each: a busy guest’s checkpoint allocates nothing. */
export const CHUNK_BUFFERS_KEPT = 64;

/**
 * Only a backup that could take over is in a hurry: a primary waits this many times longer for its backup. Until the
 * first commit both wait longer still, as to suspect means to copy everything again.
 */
export const PATIENCE = 4;
export const SYNC_PATIENCE = 12;

/** One event: a write of that size to a file is never seen in part by a reader of whole lines. */
export const EVENT_LINE_BYTES_MAX = 4_096;

/** The file of events is put aside at this size: with the one before it some ten thousand events are kept. */
export const EVENTS_FILE_BYTES_MAX = 4 * 1024 ** 2;

/** Events of one process that wait for the disk; more are lost and counted. */
export const EVENTS_WAITING_MAX = 256;

/** How long a process that ends waits for the disk to take its last events. */
export const EVENTS_WRITE_TIMEOUT_MS = 2_000;

/** A process that took longer for a rename died in it. */
export const EVENT_ROTATION_MS_MAX = 10_000;

/** Events are read in pieces of this size. */
export const EVENTS_READ_BYTES = 64 * 1024;

/** Events in one answer: unless asked otherwise, and at most. */
export const EVENTS_ASKED_DEFAULT = 1_000;
export const EVENTS_ASKED_MAX = 100_000;

/** Clients that follow events at the same time; each costs two open files. */
export const EVENT_FOLLOWERS_MAX = 32;
