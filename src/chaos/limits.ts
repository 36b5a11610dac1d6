/** Every limit of `understudy-chaos`, with its reason. */

/** A run of so many takes half a day; more is a mistake in the command line. */
export const FAULTS_MAX = 1_000;
/** Time protected before a fault: any point of an epoch, and some epochs before it. */
export const AFTER_MS_RANGE = [200, 2_000] as const;
/** From below the heartbeats' time-out (250 ms) to well above it. */
export const LASTS_MS_RANGE = [150, 4_000] as const;
/** A host that crashed stays down so long: beyond a take-over, below a client's TCP time-out. */
export const DOWN_MS_RANGE = [1_000, 4_000] as const;
/** Longest pause or duration in a schedule file. */
export const STEP_MS_MAX = 3_600_000;
/** A schedule is written by hand. */
export const SCHEDULE_BYTES_MAX = 1024 * 1024;
/** An inventory of some thousand hosts. */
export const INVENTORY_BYTES_MAX = 16 * 1024 * 1024;
/** A host that boots, its libvirtd that starts, a full copy of 4 GiB on two slow cores. */
export const BOOT_MS_MAX = 600_000;
/** Starting a session and copying a guest on two slow cores; a full disk is tried again after a back-off. */
export const PROTECTED_AGAIN_MS_MAX = 60_000;
/** A control request over ssh takes a tenth of a second; a stopped agent takes for ever. */
export const COMMAND_MS_MAX = 20_000;
export const STATUS_MS_MAX = 5_000;
/** A committed checkpoint takes milliseconds when the domain is protected. */
export const CHECKPOINT_MS_MAX = 10_000;
/** Looks at the states of both hosts: in the laboratory a look costs a millisecond, over ssh a process. */
export const LOOK_EVERY_MS_LAB = 50;
export const LOOK_EVERY_MS_SSH = 1_000;
/** Output of one command that is kept. */
export const OUTPUT_BYTES_MAX = 4 * 1024 * 1024;
/** Healing by the host itself comes this much after the fault's own end, should we be gone. */
export const SELF_HEAL_MARGIN_MS = 30_000;
/** A disk with more room than this is not filled: it would take minutes and hurt neighbours. */
export const FILL_BYTES_MAX = 64 * 1024 ** 3;
/** A full disk: less room than a journal's record, and some pages that others may free meanwhile. */
export const FULL_BYTES_MAX = 256 * 1024;
/** A client's question to a guest that was just taken over: TCP sends again after up to 13 s of silence. */
export const ANSWER_MS_MAX = 40_000;
/** Reading back every key through a held guest. */
export const AUDIT_MS_MAX = 60_000;
export const SSH_READY_MS_MAX = 15_000;
/** One bar of the report's latency plot. */
export const SLICE_MS = 250;
/** What is said by a session's log when a fault was not survived. */
export const EVIDENCE_BYTES_MAX = 4_000;
