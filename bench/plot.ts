/** One SVG per table, drawn by ECharts without a browser. */
import { writeFile } from 'node:fs/promises';
import * as echarts from 'echarts';
import type { Series, Table } from './harness.js';

const SIZE_PX = { width: 720, height: 400 };
const COLOURS = [
  ...['#2f6fab', '#e08a2e', '#5a9e6f', '#9a6fb0', '#c0504d'],
  ...['#4bacc6', '#8c7355', '#c9a227', '#7f8fa9', '#d48bb5'],
];
const REFERENCE_COLOURS = ['#b03a3a', '#777777'];
const TEXT = { color: '#333333', fontFamily: 'sans-serif' };

/** Writes `directory/NAME.svg`. */
export async function writePlot(table: Table, directory: string): Promise<void> {
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, ...SIZE_PX });
  try {
    chart.setOption(plotOption(table));
    await writeFile(`${directory}/${table.name}.svg`, `${chart.renderToSVGString()}\n`);
  } finally {
    chart.dispose();
  }
}

/** What ECharts is asked to draw. Pure. */
export function plotOption(table: Table): echarts.EChartsOption {
  const { title, kind, x, y, series } = table;
  const axisName = { nameLocation: 'middle' as const, nameTextStyle: TEXT, axisLabel: TEXT };
  const points = (values: readonly number[]): number[][] | number[] =>
    kind === 'lines' ? values.map((value, index) => [Number(x.values[index]), value]) : [...values];
  return {
    animation: false,
    backgroundColor: '#ffffff',
    textStyle: TEXT,
    title: { text: title, left: 'center', textStyle: { ...TEXT, fontSize: 15 } },
    legend: { bottom: 0, data: series.map(({ name }) => name) },
    grid: { left: 70, right: 30, top: 50, bottom: 90 },
    xAxis:
      kind === 'lines'
        ? { type: 'value', name: x.label, nameGap: 28, ...axisName }
        : { type: 'category', name: x.label, nameGap: 28, data: x.values.map(String), ...axisName },
    yAxis: { ...yAxisType(table), name: y, nameGap: 50, ...axisName },
    series: [
      ...series.filter(isMeasured).map((one, index) => ({
        name: one.name,
        data: points(one.values),
        color: COLOURS[index % COLOURS.length] ?? TEXT.color,
        ...(kind === 'lines'
          ? { type: 'line' as const, symbolSize: 7 }
          : {
              type: 'bar' as const,
              barMaxWidth: 70,
              ...(kind === 'stacked' ? { stack: 'all' } : {}),
            }),
      })),
      ...series
        .filter((one) => !isMeasured(one))
        .map((one, index) => ({
          name: one.name,
          type: 'line' as const,
          data: points(one.values),
          color: REFERENCE_COLOURS[index % REFERENCE_COLOURS.length] ?? TEXT.color,
          symbol: 'none',
          lineStyle: { type: 'dashed' as const, width: 1.5 },
        })),
    ],
  };
}

/** Logarithmic bars stand on the power of ten below the smallest value: there is no zero to stand on. */
function yAxisType({ yScale, series }: Table) {
  if (yScale !== 'log') return { type: 'value' as const };
  const smallest = Math.min(...series.flatMap(({ values }) => values));
  const base = 10 ** Math.floor(Math.log10(smallest));
  return { type: 'log' as const, min: base, startValue: base };
}

const isMeasured = ({ reference }: Series): boolean => reference !== true;
