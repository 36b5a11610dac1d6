/**
 * The one base of every error this project raises on purpose.
 *
 * Each area keeps its codes in its own `errors.ts`; a code is stable, documented in
 * docs/errors.md and carries a remedy that an operator can act on.
 */

export interface ErrorContext {
  /** What was being done, in the words of DESIGN: "capture", "promote", … */
  operation?: string;
  domain?: string;
  epoch?: number;
  cause?: unknown;
  /** Typed facts that belong to the code (sizes, names, limits). */
  facts?: Readonly<Record<string, string | number | boolean | readonly string[]>>;
}

/** One refusal or failure: what it is (code), why (message), what to do about it (remedy). */
export class UnderstudyError extends Error {
  readonly code: string;
  readonly remedy: string;
  readonly context: ErrorContext;

  constructor(code: string, message: string, remedy: string, context: ErrorContext = {}) {
    super(message, context.cause === undefined ? undefined : { cause: context.cause });
    this.name = 'UnderstudyError';
    this.code = code;
    this.remedy = remedy;
    this.context = context;
  }
}

/** A code's documentation: rendered into docs/errors.md, checked both ways by a test. */
export interface ErrorDoc {
  readonly meaning: string;
  readonly remedy: string;
}

/** What every area's `errors.ts` exports: its codes with meaning and remedy. */
export type ErrorCatalogue = Readonly<Record<string, ErrorDoc>>;

/**
 * Makes the constructor for one area's catalogue, so that a code that is not in the
 * catalogue does not compile and the remedy is written once.
 */
export function errorsOf<const C extends ErrorCatalogue>(
  catalogue: C,
): (code: keyof C & string, message: string, context?: ErrorContext) => UnderstudyError {
  return (code, message, context = {}) =>
    new UnderstudyError(code, message, (catalogue[code] as ErrorDoc).remedy, context);
}

/** Narrows anything thrown to the sentence an operator should read. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
