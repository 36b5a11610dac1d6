import { describe, expect, it } from 'vitest';
import { contractLine, median, medianOf, row } from '../../../bench/harness.js';
import { figureText } from '../../../bench/print.js';

describe('the median', () => {
  it.each([
    [[5], 5],
    [[3, 1, 2], 2],
    [[4, 1, 3, 2], 2.5],
    [[10, 9, 100], 10],
  ])('of %j is %d', (values, middle) => {
    expect(median(values)).toBe(middle);
  });

  it('of nothing is an error, not a figure', () => {
    expect(() => median([])).toThrow(expect.objectContaining({ code: 'BENCH_NOTHING_MEASURED' }));
  });

  it('is taken of one fact of each sample and leaves the samples in their order', () => {
    const samples = [{ us: 3 }, { us: 1 }, { us: 2 }];
    expect(medianOf(samples, ({ us }) => us)).toBe(2);
    expect(samples.map(({ us }) => us)).toEqual([3, 1, 2]);
  });
});

describe('a row', () => {
  const parts = { name: 'x', unit: 'ms', floor: 1, limit: 2 };

  it.each([
    ['atMost', 1.99, true],
    ['atMost', 2, true],
    ['atMost', 2.01, false],
    ['atLeast', 2.01, true],
    ['atLeast', 1.99, false],
    ['atMost', Number.NaN, false],
    ['atLeast', Number.NaN, false],
  ] as const)('with a limit %s: %d is ok: %s', (limitIs, value, ok) => {
    expect(row({ ...parts, value, limitIs }).ok).toBe(ok);
  });

  it('has the fields of the contract and no others', () => {
    const made = row({ ...parts, value: 1, limitIs: 'atMost' });
    expect(Object.keys(made).sort()).toEqual(['floor', 'limit', 'name', 'ok', 'unit', 'value']);
  });
});

describe('the contract', () => {
  it('is one line of JSON with the name of the benchmark and its rows', () => {
    const rows = [
      row({ name: 'promote_ms', value: 41.23456, unit: 'ms', floor: 9.87654, limit: 100 }),
    ];
    const line = contractLine('capture', rows);
    expect(line).not.toContain('\n');
    expect(JSON.parse(line)).toEqual({
      bench: 'capture',
      rows: [{ name: 'promote_ms', value: 41.235, unit: 'ms', floor: 9.877, limit: 100, ok: true }],
    });
  });

  it('says null for what could not be measured', () => {
    const line = contractLine('x', [
      row({ name: 'y', value: Number.NaN, unit: 'ms', floor: 1, limit: 2 }),
    ]);
    expect(JSON.parse(line).rows[0]).toMatchObject({ value: null, ok: false });
  });
});

describe('a figure for people', () => {
  it.each([
    [0.123456, '0.123'],
    [12.3456, '12.3'],
    [123.456, '123'],
    [4567.8, '4568'],
  ])('%d reads %s', (value, text) => {
    expect(figureText(value)).toBe(text);
  });
});
