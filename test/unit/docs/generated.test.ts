/** docs/cli.md, docs/errors.md and docs/states.md are what the code says, at every commit. */
import { expect, it } from 'vitest';
import { generatedDocs } from '../../../src/docs/generated.js';
import { readText } from './source-tree.js';

it.each(
  Object.entries(await generatedDocs()),
)('docs/%s is current (else run script/docs)', (name, text) => {
  expect(readText(`docs/${name}`)).toBe(text);
});
