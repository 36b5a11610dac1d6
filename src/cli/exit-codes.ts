/** The documented exit codes of `understudy`. */
export const EXIT = {
  ok: 0,
  /** The operation failed; the message says why and what to do. */
  failed: 1,
  /** The command line itself is wrong. */
  usage: 2,
  /** `check`: the domain cannot be protected as it is. */
  refused: 3,
  /** `status`: the domain is not protected at this moment. */
  notProtected: 4,
  /** No agent answers on this host. */
  noAgent: 5,
} as const;
