/** Where the types of JSON answers are declared, and the words that stand for lists in them. */
import { readFileSync } from 'node:fs';
import { PHASE_NAMES } from '../epoch/records.js';
import { STEPS } from '../failover/recovery.js';
import { STATES } from '../failover/states.js';
import { SCENARIO_NAMES } from '../lab/demo/scenario-names.js';
import { CONSISTENCIES } from '../wire/consistency.js';
import { type Declaration, declarationsFor, declarationsIn, typesNamedIn } from './declarations.js';
import { JSON_ANSWERS, JSON_ERROR, type JsonAnswer } from './json-answers.js';

/** Relative to src/. */
const FILES = [
  'agent/domain/check.ts',
  'agent/primary/epoch-report.ts',
  'agent/events/events.ts',
  'agent/status.ts',
  'agent/version.ts',
  'diskmirror/newer-copy.ts',
  'epoch/policy.ts',
  'epoch/records.ts',
  'epoch/sync.ts',
  'failover/heartbeat-paths.ts',
  'failover/recovery.ts',
  'hypervisor/check.ts',
  'hypervisor/check-codes.ts',
  'lab/demo/figures.ts',
  'lab/demo/states-seen.ts',
];

const oneOf = (words: readonly string[]): string => words.map((word) => `'${word}'`).join(' | ');

/** In the code these come from tables or schemas. */
const WORDS: Readonly<Record<string, string>> = {
  State: oneOf(Object.keys(STATES)),
  Role: oneOf(['primary', 'backup']),
  Consistency: oneOf(Object.keys(CONSISTENCIES)),
  Phase: oneOf(PHASE_NAMES),
  StepName: oneOf(Object.keys(STEPS)),
  ScenarioName: oneOf(Object.keys(SCENARIO_NAMES)),
  // Of docs/errors.md; there are many.
  RefusalCode: 'string',
  NoteCode: 'string',
  DiskRecord: `{
  state: 'none' | 'copying' | 'consistent' | 'live';
  position?: { session: string; term: number; epoch: number };
}`,
};

/** TypeScript's own. */
const BUILT_IN = new Set(['Record', 'Omit']);

/** Everything that the answers are made of, as TypeScript. */
export function jsonTypes(): string {
  const declarations = new Map<string, Declaration>();
  for (const file of FILES) {
    const source = readFileSync(new URL(`../../src/${file}`, import.meta.url), 'utf8');
    for (const declaration of declarationsIn(source))
      declarations.set(declaration.name, declaration);
  }
  for (const [name, words] of Object.entries(WORDS)) {
    declarations.set(name, { name, text: `type ${name} = ${words};` });
  }
  const answers = Object.values(JSON_ANSWERS).flatMap((answer): readonly JsonAnswer[] =>
    answer === 'none' ? [] : answer,
  );
  const roots = [...answers, JSON_ERROR].flatMap(({ type }) =>
    typesNamedIn(`type Answer = ${type.replace(/\/\/.*/, '')}`),
  );
  const needed = declarationsFor([...new Set(roots)], declarations, BUILT_IN);
  return needed.map(({ text }) => text).join('\n\n');
}
