/** The exit codes of `understudy`: they stay the same between versions. docs/cli.md lists them. */
export const EXIT_CODES = {
  ok: { code: 0, short: 'done', meaning: 'done' },
  failed: {
    code: 1,
    short: 'failed',
    meaning: 'the operation failed; the message says why and what to do',
  },
  usage: { code: 2, short: 'usage', meaning: 'the command line is wrong' },
  refused: {
    code: 3,
    short: 'check refused',
    meaning: '`check`: the domain cannot be protected as it is',
  },
  notProtected: {
    code: 4,
    short: 'not protected',
    meaning: '`status DOMAIN`: it is neither `protected` nor `promoted` at this moment',
  },
  noAgent: { code: 5, short: 'no agent', meaning: 'no agent answers on this host' },
} as const;

/** For the end of `--help`. */
export const EXIT_CODES_LINE = `Exit codes: ${Object.values(EXIT_CODES)
  .map(({ code, short }) => `${code} ${short}`)
  .join(', ')}.`;

type Ending = keyof typeof EXIT_CODES;

export const EXIT = Object.fromEntries(
  Object.entries(EXIT_CODES).map(([ending, { code }]) => [ending, code]),
) as { readonly [E in Ending]: (typeof EXIT_CODES)[E]['code'] };
