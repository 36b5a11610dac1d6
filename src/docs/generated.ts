/** Every generated document: its file name under docs/ and its text as the code has it now. */
import { EVENT_KINDS } from '../agent/events.js';
import { EXIT_CODES } from '../cli/exit-codes.js';
import { ACTIONS, EVENTS, STATES } from '../failover/states.js';
import { TABLE } from '../failover/table.js';
import { ERROR_AREAS } from './error-areas.js';
import { renderCli } from './render-cli.js';
import { renderErrors } from './render-errors.js';
import { renderStates } from './render-states.js';

export function generatedDocs(): Readonly<Record<string, string>> {
  return {
    'cli.md': renderCli({ exitCodes: Object.values(EXIT_CODES), events: EVENT_KINDS }),
    'errors.md': renderErrors(ERROR_AREAS),
    'states.md': renderStates({ states: STATES, events: EVENTS, actions: ACTIONS, rows: TABLE }),
  };
}
