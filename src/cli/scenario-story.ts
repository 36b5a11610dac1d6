/** What only scenarios with several turns have to tell, as rows of the demo's table. */
import type { DemoFigures, TurnFigures } from '../lab/demo/figures.js';
import { type StateSeen, wordsOf } from '../lab/demo/states-seen.js';
import { ms, pc } from './output.js';

/** A count that must be none. */
export const none = (count: number): string =>
  count === 0 ? pc.green('0') : pc.red(String(count));

export function turnRows({ turns }: DemoFigures): [string, string][] {
  return turns.map((turn) => [turn.what, turnWords(turn)]);
}

export function listenerRows({ listener }: DemoFigures): [string, string][] {
  if (listener === undefined) return [];
  return [
    ['takeovers that were listened to', String(listener.takeovers)],
    ['packets of a host that was the backup', none(listener.heard_of_backup)],
    ['packets while the other was heard', none(listener.heard_of_two)],
    ['packets heard and forgotten', none(listener.forgotten)],
    ['packets that never left', String(listener.held_back)],
  ];
}

export function stateRows({ states }: DemoFigures): [string, string][] {
  return [
    ['host a', stateWords(states.a)],
    ['host b', stateWords(states.b)],
  ];
}

function turnWords(turn: TurnFigures): string {
  const { detect_ms: detectMs, promote_ms: promoteMs, wait_ms: waitMs, held } = turn;
  return [
    ...(detectMs === undefined ? [] : [`noticed after ${ms(detectMs)}`]),
    ...(promoteMs === undefined ? [] : [`promoted in ${ms(promoteMs)}`]),
    waitMs === null ? pc.red('no answer any more') : `${ms(waitMs)} without an answer`,
    ...(held === undefined ? [] : [held ? 'held meanwhile' : pc.red('HEARD MEANWHILE')]),
  ].join(', ');
}

/** The role where it is another one than before. */
function stateWords(seen: readonly StateSeen[]): string {
  return seen
    .map((one, index) => (seen[index - 1]?.role === one.role ? one.state : wordsOf(one)))
    .join(', ');
}
