/** Every generated document: its file name under docs/ and its text as the code has it now. */
import { EVENT_KINDS } from '../agent/events/events.js';
import { EXIT_CODES } from '../cli/exit-codes.js';
import { commandNames, helpOf } from '../cli/help.js';
import { ACTIONS, EVENTS, STATES } from '../failover/states.js';
import { TABLE } from '../failover/table.js';
import { ERROR_AREAS } from './error-areas.js';
import { JSON_ANSWERS, JSON_ERROR } from './json-answers.js';
import { jsonTypes } from './json-types.js';
import { type CommandLine, renderCli } from './render-cli.js';
import { renderErrors } from './render-errors.js';
import { renderStates } from './render-states.js';

export async function generatedDocs(): Promise<Readonly<Record<string, string>>> {
  return {
    'cli.md': renderCli(await theCommandLine()),
    'errors.md': renderErrors(ERROR_AREAS),
    'states.md': renderStates({ states: STATES, events: EVENTS, actions: ACTIONS, rows: TABLE }),
  };
}

async function theCommandLine(): Promise<CommandLine> {
  const names = await commandNames();
  return {
    help: await helpOf(''),
    commands: await Promise.all(names.map(async (name) => ({ name, help: await helpOf(name) }))),
    answers: JSON_ANSWERS,
    error: JSON_ERROR,
    types: jsonTypes(),
    exitCodes: Object.values(EXIT_CODES),
    events: EVENT_KINDS,
  };
}
