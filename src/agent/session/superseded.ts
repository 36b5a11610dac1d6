/** The other host's word that it acted on a newer term, as an error that carries the term. */
import { UnderstudyError } from '../../errors.js';
import { wireError } from '../../wire/errors.js';

export function supersededBy(term: number): UnderstudyError {
  return wireError('WIRE_STALE_TERM', `the other host acted on term ${term}`, { facts: { term } });
}

export function isSuperseded(error: unknown): error is UnderstudyError {
  return error instanceof UnderstudyError && error.code === 'WIRE_STALE_TERM';
}

/** 0 when the error does not say it. */
export function newerTermOf(error: unknown): number {
  const term = error instanceof UnderstudyError ? error.context.facts?.term : undefined;
  return typeof term === 'number' ? term : 0;
}
