/** The report from facts: whole, self-contained, and no place to smuggle anything in. */
import { DOMParser } from '@xmldom/xmldom';
import { describe, expect, it } from 'vitest';
import { htmlReport } from '../../../src/chaos/report.js';
import { FAULTS_PER_ROW, spansOf, stateClass } from '../../../src/chaos/report-timeline.js';
import { verdictOf } from '../../../src/chaos/verdict.js';
import { facts, record, STARTED_MS } from './facts.js';

const reportOf = (seen = facts()) => htmlReport(seen, verdictOf(seen));
const svgsOf = (page: string) => page.match(/<svg[\s\S]*?<\/svg>/g) ?? [];

describe('the report', () => {
  it('needs nothing from elsewhere', () => {
    const page = reportOf();
    expect(page).toMatch(/^<!doctype html>/);
    expect(page).not.toMatch(/\b(src|href)=|@import|url\(|<script/);
    expect(page).toContain('prefers-color-scheme: dark');
  });

  it('shows the verdict, how to repeat it, every fault and every state', () => {
    const page = reportOf();
    expect(page).toContain('Nothing was lost');
    expect(page).toContain('understudy-chaos --lab --seed 7 --faults 3');
    for (const number of [1, 2, 3]) expect(page).toContain(`<title>${number}. 1.0 s protected`);
    expect(page).toContain('primary fenced AGENT_GUEST_DIED');
    expect(page).toContain('1 → 2');
  });

  it('shows what was broken, with what hosts said', () => {
    const failure = { code: 'CHAOS_NOT_PROTECTED', message: 'not within 90 s' };
    const page = reportOf(
      facts({ records: [record(1, { failure, evidence: ['host a: {"state":"failed"}'] })] }),
    );
    expect(page).toContain('The promise was broken.');
    expect(page).toContain('CHAOS_NOT_PROTECTED: not within 90 s');
    expect(page).toContain('host a: {&quot;state&quot;:&quot;failed&quot;}');
    expect(page).toContain('only 1 of 3 faults were put in');
  });

  it('has drawings that are well-formed, with a bar for each slice and a mark for each fault', () => {
    const svgs = svgsOf(reportOf());
    expect(svgs).toHaveLength(1);
    const problems: string[] = [];
    const parser = new DOMParser({
      onError: (level, message) => problems.push(`${level} ${message}`),
    });
    const svg = parser.parseFromString(svgs[0] ?? '', 'image/svg+xml');
    expect(problems).toEqual([]);
    const paths = [...svg.getElementsByTagName('path')].map((path) => path.getAttribute('d') ?? '');
    expect(paths.some((d) => (d.match(/M/g) ?? []).length === 180)).toBe(true);
    const marks = [...svg.getElementsByTagName('g')].filter(
      (g) => g.getAttribute('class') === 'fault',
    );
    expect(marks).toHaveLength(3);
  });

  it('writes what comes from outside as text', () => {
    const page = reportOf(facts({ domain: '<img onerror=x>', command: 'a && b "c"' }));
    expect(page).not.toContain('<img');
    expect(page).toContain('&lt;img onerror=x&gt;');
    expect(page).toContain('a &amp;&amp; b &quot;c&quot;');
  });

  it('is told in rows that follow each other', () => {
    const records = Array.from({ length: 12 }, (_, index) => record(index + 1));
    const spans = spansOf(
      facts({ records, endedAt: new Date(STARTED_MS + 140_000).toISOString() }),
    );
    expect(spans.map((span) => span.records.length)).toEqual([FAULTS_PER_ROW, FAULTS_PER_ROW, 2]);
    expect(spans[0]?.fromMs).toBe(STARTED_MS);
    for (const [index, span] of spans.entries()) {
      expect(span.fromMs).toBe(spans[index - 1]?.toMs ?? STARTED_MS);
      for (const { injectedAt } of span.records) {
        expect(Date.parse(injectedAt ?? '')).toBeGreaterThanOrEqual(span.fromMs);
        expect(Date.parse(injectedAt ?? '')).toBeLessThan(span.toMs);
      }
    }
  });

  it('has one colour for a state in either role', () => {
    expect(['primary protected', 'backup protected', 'no answer'].map(stateClass)).toEqual([
      'protected',
      'protected',
      'silent',
    ]);
  });
});
