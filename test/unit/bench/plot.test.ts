import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Table } from '../../../bench/harness.js';
import { plotOption, writePlot } from '../../../bench/plot.js';

const TABLE: Table = {
  name: 'example',
  title: 'Scan by guest RAM',
  kind: 'lines',
  x: { label: 'guest RAM, GiB', values: [0.5, 4] },
  y: 'scan, ms',
  series: [
    { name: 'measured', values: [0.2, 1.9] },
    { name: 'limit', values: [0.5, 4], reference: true },
  ],
};

describe('a plot', () => {
  it('draws lines over numbers, so that sizes keep their distances', () => {
    const { series } = plotOption(TABLE);
    expect(series).toMatchObject([
      {
        name: 'measured',
        data: [
          [0.5, 0.2],
          [4, 1.9],
        ],
      },
      { name: 'limit', lineStyle: { type: 'dashed' } },
    ]);
  });

  it('draws bars over names, stacked when asked', () => {
    const bars = { ...TABLE, x: { label: 'what', values: ['idle', 'loaded'] } };
    expect(plotOption({ ...bars, kind: 'bars' }).series).toMatchObject([
      { type: 'bar', data: [0.2, 1.9] },
      { type: 'line' },
    ]);
    expect(plotOption({ ...bars, kind: 'stacked' }).series).toMatchObject([
      { stack: 'all' },
      { type: 'line' },
    ]);
  });

  it('stands logarithmic bars on the power of ten below the smallest', () => {
    const series = [{ name: 'measured', values: [0.83, 99] }];
    const log: Table = { ...TABLE, kind: 'bars', yScale: 'log', series };
    expect(plotOption(log).yAxis).toMatchObject({ type: 'log', min: 0.1, startValue: 0.1 });
    expect(plotOption(TABLE).yAxis).toMatchObject({ type: 'value' });
  });

  it('is an SVG file with title, axes with units and every series', async () => {
    const directory = await mkdtemp(`${tmpdir()}/understudy-plot-`);
    onTestFinished(() => rm(directory, { recursive: true }));
    await writePlot(TABLE, directory);
    const svg = await readFile(`${directory}/example.svg`, 'utf8');
    expect(svg).toMatch(/^<svg /);
    for (const text of [TABLE.title, TABLE.x.label, TABLE.y, 'measured', 'limit']) {
      expect(svg).toContain(text);
    }
  });
});
