/** The command line as a whole: every command is explained, and what is typed is understood. */
import { describe, expect, it } from 'vitest';
import type { EventRecord } from '../../../src/agent/events/events.js';
import { FLAGS, takesDomain } from '../../../src/cli/completion.js';
import { eventWords } from '../../../src/cli/events.js';
import { commandNames, helpOf } from '../../../src/cli/help.js';
import { localTime } from '../../../src/cli/moments.js';
import { watching } from '../../../src/cli/status.js';

const names = await commandNames();

describe('--help', () => {
  it('knows the commands', () => {
    expect(names).toEqual(expect.arrayContaining(['check', 'status', 'events', 'lab up']));
  });

  it.each(names)('of %s describes all of it, with an example', async (name) => {
    const help = await helpOf(name);
    expect(help).toMatch(new RegExp(`^understudy ${name}`));
    expect(help).toMatch(/\nExamples:\n {2}\S/);
    // An option without a description has only its type after it.
    expect(help.split('\n').filter((line) => /^ +(-\w, )?--[\w-]+ +\[/.test(line))).toEqual([]);
  });

  it('has the options without a value that completion knows', async () => {
    const helps = await Promise.all(names.map(helpOf));
    const flags = helps.flatMap((help) =>
      [...help.matchAll(/(--[\w-]+)(?:(?!\n +(?:-\w, )?--)[\s\S])*?\[(\w+)\]/g)].flatMap(
        ([, option = '', type]) => (type === 'boolean' ? [option] : []),
      ),
    );
    expect(new Set(flags)).toEqual(FLAGS);
  });
});

describe('completion offers domains', () => {
  it.each([
    [['status', ''], true],
    [['protect', 'we'], true],
    [['protect', '--backup', '10.0.0.2', ''], true],
    [['protect', '--backup=10.0.0.2', ''], true],
    [['status', '--json', ''], true],
    [['protect', '--no-wait', ''], true],
    [['events', '-f', ''], true],
    [['events', '-n', ''], false],
    [['protect', '--backup', ''], false],
    [['protect', 'web1', ''], false],
    [['status', '--'], false],
    [['version', ''], false],
    [['st'], false],
    [[''], false],
  ])('after %j: %s', (words, offered) => {
    expect(takesDomain(words)).toBe(offered);
  });
});

describe('status --watch', () => {
  it.each([
    ['', 'web1', { domain: 'web1', seconds: 1 }],
    ['5', 'web1', { domain: 'web1', seconds: 5 }],
    ['0.5', undefined, { domain: undefined, seconds: 0.5 }],
    ['web1', undefined, { domain: 'web1', seconds: 1 }],
  ])('%j with %s', (every, domain, expected) => {
    expect(watching({ domain, every, json: false })).toEqual({ ...expected, json: false });
  });

  it.each(['0', '-1', '4000', 'soon'])('not %s', (every) => {
    const wrong = expect.objectContaining({ code: 'CLI_USAGE' });
    expect(() => watching({ domain: 'web1', every, json: false })).toThrow(wrong);
  });
});

describe('an event in words', () => {
  const base: EventRecord = { time: '2026-11-22T00:00:00.123Z', event: 'agent-up' };
  const when = localTime(new Date(base.time));
  const reason = { code: 'WIRE_CLOSED', message: 'hung up', remedy: 'Look.' };

  it.each<[Partial<EventRecord>, string]>([
    [{ port: 7788, pid: 9 }, `-             -        agent-up         port=7788 pid=9`],
    [
      {
        domain: 'web1',
        role: 'primary',
        event: 'state-changed',
        from: 'a',
        to: 'b',
        on: 'x',
        because: 'Why.',
      },
      'web1          primary  state-changed    a → b  Why.',
    ],
    [
      { domain: 'web1', role: 'backup', event: 'state-changed', from: 'a', to: 'b', reason },
      'web1          backup   state-changed    a → b  WIRE_CLOSED: hung up',
    ],
    [
      {
        domain: 'web1',
        role: 'backup',
        event: 'takeover',
        epoch: 7,
        promoteMs: 71.23456,
        phasesMs: {},
      },
      'web1          backup   takeover         epoch=7 promoteMs=71.23',
    ],
  ])('%j', (more, words) => {
    expect(eventWords({ ...base, ...more })).toBe(`${when}  ${words}`);
  });
});
