import { describe, expect, it } from 'vitest';
import { table } from '../../../src/docs/markdown.js';
import { renderErrors } from '../../../src/docs/render-errors.js';
import { renderStates } from '../../../src/docs/render-states.js';

describe('a table', () => {
  it('escapes what would break it, and leaves code alone', () => {
    const text = table(['A', 'B'], [['a|b <cpu>', '`<cpu>`']]);
    expect(text.split('\n')).toEqual([
      '| A | B |',
      '| --- | --- |',
      '| a\\|b &lt;cpu> | `<cpu>` |',
    ]);
  });
});

describe('errors', () => {
  it('come in the order of their catalogue, under their area', () => {
    const text = renderErrors([
      {
        title: 'Things',
        about: 'About things.',
        catalogue: {
          T_ONE: { meaning: 'One.', remedy: 'Do one.' },
          T_TWO: { meaning: 'Two.', remedy: 'Do two.' },
        },
      },
    ]);
    const area = text.slice(text.indexOf('## Things'));
    expect(area).toMatch(/^## Things\n\nAbout things\.\n\n\| Code /);
    expect(area.indexOf('| `T_ONE` | One. | Do one. |')).toBeGreaterThan(0);
    expect(area.indexOf('T_TWO')).toBeGreaterThan(area.indexOf('T_ONE'));
  });
});

describe('states', () => {
  const text = renderStates({
    states: { unprotected: 'Nothing.' },
    events: { protectAsked: 'Asked.' },
    actions: { sync: 'Copy.' },
    rows: [
      {
        role: 'primary',
        from: ['unprotected', 'failed'],
        event: 'protectAsked',
        to: 'syncing',
        because: 'Why not.',
        actions: ['sync'],
      },
      {
        role: 'primary',
        from: ['unprotected'],
        event: 'peerReturned',
        to: 'syncing',
        because: 'Again.',
        actions: [],
      },
    ],
  });

  it('draw one arrow for each pair, with every event on it', () => {
    expect(text).toContain('  unprotected --> syncing: protectAsked, peerReturned\n');
    expect(text).toContain('  failed --> syncing: protectAsked\n');
  });

  it('list every row, under its role', () => {
    expect(text).toContain(
      '| `unprotected`, `failed` | `protectAsked` | `syncing` | Why not. | `sync` |',
    );
    expect(text).toContain('| `unprotected` | `peerReturned` | `syncing` | Again. | none |');
  });
});
