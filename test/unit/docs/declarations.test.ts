/** Types out of source text, as docs/cli.md shows them, and the answers that they describe. */
import { describe, expect, it } from 'vitest';
import { commandNames } from '../../../src/cli/help.js';
import { declarationsFor, declarationsIn, typesNamedIn } from '../../../src/docs/declarations.js';
import { JSON_ANSWERS } from '../../../src/docs/json-answers.js';
import { filesBelow, readText } from './source-tree.js';

const SOURCE = `/** The file. */
import type { Other } from './other.js';

/** Not this one. */
const NOT = 'exported';

/** A thing. */
export interface Thing extends Omit<Other, 'x'> {
  /** Says Nothing of itself. */
  kind: 'Big' | 'small';
  parts?: Part[];
}

export type Part =
  | { name: 'one' }
  | {
      name: 'two';
    };

export type Size = number;
export interface Empty {}
`;

describe('declarations', () => {
  const found = declarationsIn(SOURCE);

  it('come whole, with their own comment', () => {
    expect(found.map(({ name }) => name)).toEqual(['Thing', 'Part', 'Size']);
    expect(found[0]?.text).toMatch(/^\/\*\* A thing\. \*\/\ninterface Thing extends [\s\S]*\n\}$/);
    expect(found[1]?.text).toMatch(/^type Part =\n[\s\S]*'two';\n {4}\};$/);
    expect(found[2]?.text).toBe('type Size = number;');
  });

  it('name others in their code only', () => {
    expect(typesNamedIn(found[0]?.text ?? '')).toEqual(['Omit', 'Other', 'Part']);
  });

  it('are collected with all that they need, each once', () => {
    const all = new Map(found.map((one) => [one.name, one]));
    const known = new Set(['Omit', 'Other']);
    const names = declarationsFor(['Thing', 'Part'], all, known).map(({ name }) => name);
    expect(names).toEqual(['Thing', 'Part']);
    expect(() => declarationsFor(['Thing'], all, new Set(['Omit']))).toThrow('Thing names Other');
  });
});

describe('JSON answers', () => {
  it('are told of every command, and of no other', async () => {
    expect(Object.keys(JSON_ANSWERS).sort()).toEqual((await commandNames()).sort());
  });

  it('are said to be none only where none is printed', () => {
    const printing = filesBelow('src/cli', ['.ts']).filter((path) =>
      /\bprintJson\(/.test(readText(path)),
    );
    const silent = Object.entries(JSON_ANSWERS).flatMap(([name, answer]) =>
      answer === 'none' ? [`src/cli/${name}.ts`] : [],
    );
    expect(silent.filter((path) => printing.includes(path))).toEqual([]);
  });
});
