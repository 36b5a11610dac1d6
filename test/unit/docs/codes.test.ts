/** Every code that is raised is documented, and every documented code can be raised. */
import { expect, it } from 'vitest';
import { ERROR_AREAS } from '../../../src/docs/error-areas.js';
import { filesBelow, readText } from './source-tree.js';

const PREFIXES =
  'HYP|CHECK|HOLD|LAB|WIRE|EPOCH|AGENT|FAILOVER|TERM|CLI|LIBVIRT|DISK|PKI|CONFIG|HOST|CHAOS';

/** A catalogue's own key has no quotes, so it does not count as a use of itself. */
const RAISED = new RegExp(`(['"])((?:${PREFIXES})_[A-Z_]+)\\1`, 'g');

function documentedCodes(): string[] {
  return ERROR_AREAS.flatMap(({ catalogue }) => Object.keys(catalogue));
}

/** Code by code, the files that name it; native code raises some of the HOLD_ codes. */
function raisedCodes(): Map<string, string[]> {
  const files = [...filesBelow('src', ['.ts']), ...filesBelow('native', ['.cc', '.h'])];
  const raised = new Map<string, string[]>();
  for (const path of files) {
    for (const [, , name = ''] of readText(path).matchAll(RAISED)) {
      raised.set(name, [...(raised.get(name) ?? []), path]);
    }
  }
  return raised;
}

it('documents every code that is raised', () => {
  const documented = new Set(documentedCodes());
  const unknown = [...raisedCodes()].filter(([name]) => !documented.has(name));
  expect(unknown).toEqual([]);
});

it('raises every code that is documented', () => {
  const raised = raisedCodes();
  expect(documentedCodes().filter((name) => !raised.has(name))).toEqual([]);
});

it('gives no code twice, and each a meaning and a remedy', () => {
  const codes = documentedCodes();
  expect(new Set(codes).size).toBe(codes.length);
  for (const { catalogue } of ERROR_AREAS) {
    for (const [name, { meaning, remedy }] of Object.entries(catalogue)) {
      expect([meaning, remedy], name).toEqual([
        expect.stringMatching(/^\S.*\.$/),
        expect.stringMatching(/^\S.*[.A-Za-z]$/),
      ]);
    }
  }
});
