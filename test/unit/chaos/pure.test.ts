/** Small decisions: protection, answers, rules of links, words of a shell. */
import { describe, expect, it } from 'vitest';
import { AnsweredWrites, AnswerSlices, isThere } from '../../../src/chaos/answers.js';
import { addressRules, interfaceRules } from '../../../src/chaos/link-rules.js';
import { type HostView, protectedPair, runner, viewLine } from '../../../src/chaos/protection.js';
import { quoted } from '../../../src/shell-word.js';

const view = (
  host: string,
  role: 'primary' | 'backup',
  state: NonNullable<HostView['status']>['state'],
  qemuPid?: number,
): HostView => ({
  host,
  status: { role, state, term: 3, sessionPid: 40, ...(qemuPid === undefined ? {} : { qemuPid }) },
});

describe('a pair', () => {
  it.each([
    ['both say so', [view('a', 'primary', 'protected'), view('b', 'backup', 'protected')], 'a'],
    [
      'the other way round',
      [view('a', 'backup', 'protected'), view('b', 'primary', 'protected')],
      'b',
    ],
    [
      'the backup still syncs',
      [view('a', 'primary', 'protected'), view('b', 'backup', 'syncing')],
      undefined,
    ],
    [
      'two primaries',
      [view('a', 'primary', 'protected'), view('b', 'primary', 'protected')],
      undefined,
    ],
    [
      'one is silent',
      [view('a', 'primary', 'protected'), { host: 'b', status: undefined }],
      undefined,
    ],
    [
      'promoted is not protected',
      [view('a', 'primary', 'fenced'), view('b', 'backup', 'promoted')],
      undefined,
    ],
  ])('%s', (_, views, primary) => {
    expect(protectedPair(views)?.primary).toBe(primary);
  });

  it('is of before as long as it names a process that died', () => {
    const views = [view('a', 'primary', 'protected', 10), view('b', 'backup', 'protected', 20)];
    expect(protectedPair(views, { host: 'b', pids: [20] })).toBeUndefined();
    expect(protectedPair(views, { host: 'a', pids: [40] })).toBeUndefined();
    // Another host may have a process of that number.
    expect(protectedPair(views, { host: 'a', pids: [20] })?.backup).toBe('b');
  });

  it('is told in a line', () => {
    const views = [view('a', 'primary', 'degraded'), { host: 'b', status: undefined }];
    expect(viewLine(views)).toBe('a primary degraded, b no answer');
  });

  it.each([
    ['the promoted one', [view('a', 'primary', 'fenced'), view('b', 'backup', 'promoted', 5)], 'b'],
    [
      'the primary that is left',
      [view('a', 'primary', 'failed', 5), view('b', 'backup', 'failed')],
      'a',
    ],
    [
      'nobody',
      [
        { host: 'a', status: undefined },
        { host: 'b', status: undefined },
      ],
      undefined,
    ],
  ])('is run by %s', (_, views, host) => {
    expect(runner(views)).toBe(host);
  });
});

describe('answers', () => {
  it('are there when the key holds theirs or a later write', () => {
    expect([isThere('7', 7), isThere('8', 7), isThere('6', 7), isThere(null, 7)]).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });

  it('keep the newest write of each key', () => {
    const written = new AnsweredWrites();
    written.answered('x', 5);
    written.answered('x', 3);
    written.answered('y', 1);
    expect([written.count, written.snapshot()]).toEqual([
      3,
      [
        ['x', 5],
        ['y', 1],
      ],
    ]);
  });

  it('are told slice by slice, each once', () => {
    const slices = new AnswerSlices();
    slices.add(1_000, 4);
    slices.add(1_249, 9);
    slices.add(1_250, 2);
    expect(slices.takeClosed(1_250)).toEqual([{ atMs: 1_000, answers: 2, slowestMs: 9 }]);
    expect(slices.takeClosed(1_250)).toEqual([]);
    expect(slices.takeClosed(1_500)).toEqual([{ atMs: 1_250, answers: 1, slowestMs: 2 }]);
  });
});

describe('rules of a cut link', () => {
  it('drop what comes in, what goes out, or either', () => {
    const hooks = (rules: string) => rules.match(/hook \w+/g);
    expect(hooks(interfaceRules(['repl'], 'in'))).toEqual(['hook ingress']);
    expect(hooks(interfaceRules(['lan', 'repl'], 'out'))).toEqual(['hook egress', 'hook egress']);
    expect(hooks(addressRules(['10.0.0.2'], 'both'))).toEqual(['hook prerouting', 'hook output']);
  });

  it('name the other host only, in either family', () => {
    const rules = addressRules(['10.0.0.2', 'fd00::2'], 'in');
    expect(rules).toContain('ip saddr 10.0.0.2 drop; ip6 saddr fd00::2 drop;');
    expect(rules).not.toContain('policy drop');
  });
});

it('quotes a word for the shell, whatever is in it', () => {
  expect(quoted("it's $HOME `x`")).toBe("'it'\\''s $HOME `x`'");
});
