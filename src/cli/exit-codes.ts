/** The exit codes of `understudy`: they stay the same between versions. docs/cli.md lists them. */
export const EXIT_CODES = {
  ok: { code: 0, meaning: 'done' },
  failed: { code: 1, meaning: 'the operation failed; the message says why and what to do' },
  usage: { code: 2, meaning: 'the command line is wrong' },
  refused: { code: 3, meaning: '`check`: the domain cannot be protected as it is' },
  notProtected: {
    code: 4,
    meaning: '`status DOMAIN`: it is neither `protected` nor `promoted` at this moment',
  },
  noAgent: { code: 5, meaning: 'no agent answers on this host' },
} as const;

type Ending = keyof typeof EXIT_CODES;

export const EXIT = Object.fromEntries(
  Object.entries(EXIT_CODES).map(([ending, { code }]) => [ending, code]),
) as { readonly [E in Ending]: (typeof EXIT_CODES)[E]['code'] };
