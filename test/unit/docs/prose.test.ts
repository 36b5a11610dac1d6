/** What the documents name exists, and what must be named is. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { LOG_EVENTS } from '../../../src/agent/log.js';
import { EXIT } from '../../../src/cli/exit-codes.js';
import { FAULTS } from '../../../src/epoch/faults.js';
import { STATES } from '../../../src/failover/states.js';
import { FRAME_TYPES } from '../../../src/wire/frames.js';
import { messageSchemas } from '../../../src/wire/messages.js';
import { filesBelow, ROOT, readText, sourceFiles } from './source-tree.js';

const DOCUMENTS = ['README.md', 'CHANGELOG.md', 'test/README.md', ...filesBelow('docs', ['.md'])];

describe.each(DOCUMENTS)('%s', (path) => {
  const text = readText(path);

  it('has no dead link', () => {
    const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link);
    const dead = links.filter((link) => !/^https?:/.test(link) && !linkLeads(path, link));
    expect(dead).toEqual([]);
  });

  it('names no file that is gone', () => {
    const named = [...text.matchAll(/`((?:src|native|test|script|bin)\/[\w./-]+)`/g)];
    const gone = named.map(([, name = '']) => name).filter((name) => !existsSync(join(ROOT, name)));
    expect(gone).toEqual([]);
  });
});

describe('what must be documented', () => {
  const operations = readText('docs/operations.md');
  const protocol = readText('docs/protocol.md');
  const testing = readText('docs/testing.md');

  it('every log event that is logged', () => {
    const sources = [...sourceFiles().values()].map(({ text }) => text).join('\n');
    const logged = Object.entries(LOG_EVENTS).filter(([name]) =>
      new RegExp(`LOG_EVENTS\\.${name}\\b`).test(sources),
    );
    expect(logged.length).toBeGreaterThan(10);
    expect(logged.map(([, event]) => event).filter((event) => !isNamed(operations, event))).toEqual(
      [],
    );
  });

  it('every state, and every exit code', () => {
    expect(Object.keys(STATES).filter((state) => !isNamed(operations, state))).toEqual([]);
    expect(Object.values(EXIT).filter((code) => !operations.includes(`\n| ${code} | `))).toEqual(
      [],
    );
  });

  it('every frame type with its number, and every message', () => {
    const frames = Object.entries(FRAME_TYPES).map(([name, { id }]) => `\n| ${id} | \`${name}\` |`);
    expect(frames.filter((row) => !protocol.includes(row))).toEqual([]);
    const messages = Object.keys(messageSchemas).filter((name) => name !== 'purpose');
    expect(messages.filter((name) => !isNamed(protocol, name))).toEqual([]);
  });

  it('every planted fault', () => {
    expect(Object.keys(FAULTS).filter((fault) => !isNamed(testing, fault))).toEqual([]);
  });
});

describe('docs/testing.md', () => {
  it('names tests that are there', () => {
    const text = readText('docs/testing.md');
    const named = [...text.matchAll(/`((?:unit|integration|chaos)\/[\w/-]+)`/g)];
    expect(named.length).toBeGreaterThan(10);
    const gone = named
      .map(([, name = '']) => `test/${name}`)
      .filter((name) => ![name, `${name}.test.ts`].some((path) => existsSync(join(ROOT, path))));
    expect(gone).toEqual([]);
  });
});

function isNamed(text: string, word: string): boolean {
  return text.includes(`\`${word}\``);
}

/** A file that exists and, after `#`, a heading of it. */
function linkLeads(from: string, link: string): boolean {
  const [file = '', anchor] = link.split('#');
  const path = file === '' ? from : join(dirname(from), file);
  if (!existsSync(join(ROOT, path))) return false;
  return anchor === undefined || anchorsOf(readText(path)).includes(anchor);
}

/** Headings as forges make them into anchors. */
function anchorsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\w\s-]/g, '')
      .replaceAll(' ', '-'),
  );
}
