import { describe, expect, it } from 'vitest';
import { duration, localTime, parseAge } from '../../../src/cli/moments.js';

const NOW = new Date('2026-11-22T12:00:00.000Z');
const iso = (text: string): string | undefined => parseAge(text, NOW)?.toISOString();

describe('an age', () => {
  it.each([
    ['90s', '2026-11-22T11:58:30.000Z'],
    ['10m', '2026-11-22T11:50:00.000Z'],
    ['1.5h', '2026-11-22T10:30:00.000Z'],
    ['3d', '2026-11-19T12:00:00.000Z'],
    ['2026-11-22T00:30:00Z', '2026-11-22T00:30:00.000Z'],
    ['2026-11-22', '2026-11-22T00:00:00.000Z'],
  ])('%s is %s', (text, moment) => {
    expect(iso(text)).toBe(moment);
  });

  it.each(['', '10', '10x', '-10m', 'm', 'yesterday', '2026-13-45'])('is not %j', (text) => {
    expect(iso(text)).toBeUndefined();
  });

  it('may be longer than time is', () => {
    expect(iso('999999999999d')).toBeUndefined();
  });
});

describe('a length of time', () => {
  it.each([
    [-5, '0s'],
    [400, '0s'],
    [4_600, '5s'],
    [59_400, '59s'],
    [59_600, '1m00s'],
    [192_000, '3m12s'],
    [3_599_700, '1h00m'],
    [7_500_000, '2h05m'],
    [86_399_000, '23h59m'],
    [529_200_000, '6d03h'],
  ])('%d ms is %s', (ms, words) => {
    expect(duration(ms)).toBe(words);
  });
});

it('a moment is written in local time, all of it in two digits', () => {
  const moment = new Date(2026, 0, 2, 3, 4, 5, 6);
  expect(localTime(moment)).toBe('2026-01-02 03:04:05.006');
});
