/** Limits of what `understudy host` does on other hosts. */

export const SSH_READY_TIMEOUT_MS = 15_000;
/** Each command over ssh; the agent's start is the longest. */
export const SSH_COMMAND_TIMEOUT_MS = 60_000;
/** What a command may print. */
export const SSH_OUTPUT_BYTES_MAX = 1024 * 1024;
/** An agent loads libvirt and the addon in a second; a service manager may take its time. */
export const AGENT_ANSWER_TIMEOUT_MS = 20_000;
export const AGENT_ANSWER_RETRY_MS = 200;
/** Certificates would not hold yet, or no more; and logs of the two hosts could not be compared. */
export const CLOCK_DIFFERENCE_MS_MAX = 60_000;
export const NODE_VERSION_MIN = [20, 19, 0] as const;
