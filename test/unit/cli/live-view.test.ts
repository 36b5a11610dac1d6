/** What `status --watch` draws: small pictures, and lines that fit. */
import { describe, expect, it } from 'vitest';
import type { DomainStatus } from '../../../src/agent/status.js';
import { LiveView, shortNumber } from '../../../src/cli/live-view.js';
import { fitted, sparkline } from '../../../src/cli/sparkline.js';

const spread = (p50: number) => ({ p50, p99: p50 * 2, max: p50 * 3 });

function status(domain: string, pauseMs: number, more: Partial<DomainStatus> = {}): DomainStatus {
  return {
    domain,
    role: 'primary',
    state: 'protected',
    term: 1,
    since: '2026-11-22T00:00:00.000Z',
    sessionPid: 1,
    epochs: {
      committed: 7,
      count: 7,
      perSecond: 20,
      pauseMs: spread(pauseMs),
      dirtyPages: spread(100),
      shippedBytes: 1,
      shippedPaused: 0,
      pauseFailures: 0,
      recent: {
        pauseMs: spread(pauseMs),
        latencyMs: spread(pauseMs * 4),
        dirtyBytesPerSecond: 3 * 1024 ** 2,
        shippedBytesPerSecond: 1,
        lagMs: 12_345,
      },
    },
    ...more,
  };
}

describe('a sparkline', () => {
  it('goes from zero to the greatest value that it shows', () => {
    expect(sparkline([0, 1, 2, 4, 8], 5)).toBe('▁▁▂▄█');
    expect(sparkline([800, 1, 2, 4, 8], 4)).toBe('▁▂▄█');
  });

  it('stands at the right, with blanks where nothing was measured', () => {
    expect(sparkline([5, undefined, 5], 6)).toBe('   █ █');
    expect(sparkline([], 3)).toBe('   ');
    expect(sparkline([0, 0], 2)).toBe('▁▁');
    expect(sparkline([1, 2], 0)).toBe('');
    expect(sparkline([1, 2], -1)).toBe('');
  });
});

it('text that is too long ends in an ellipsis', () => {
  expect(fitted('web1', 6)).toBe('web1  ');
  expect(fitted('a-long-name', 6)).toBe('a-lon…');
  expect(fitted('ünïcödé', 7)).toBe('ünïcödé');
  expect(fitted('web1', 0)).toBe('');
});

it.each([
  [undefined, '-'],
  [0, '0.00'],
  [2.444, '2.44'],
  [9.996, '10.0'],
  [99.97, '100'],
  [1_234, '1234'],
  [9_999.6, '10k'],
  [5e9, '999k'],
])('%d is short: %s', (value, words) => {
  expect(shortNumber(value)).toBe(words);
  expect(words.length).toBeLessThanOrEqual(4);
});

describe('the table', () => {
  const view = new LiveView();
  const domains = [
    status('web1', 2.4),
    status('a-domain-with-a-very-long-name', 123.4, {
      state: 'degraded',
      reason: { code: 'WIRE_TIMED_OUT', message: 'x'.repeat(200), remedy: 'Look.' },
    }),
    { ...status('standby', 1), role: 'backup' as const, epochs: undefined },
  ] as DomainStatus[];
  for (let moment = 0; moment < 600; moment += 1) view.sample(domains);

  it.each([80, 120, 200])('fits into %d columns, and uses them', (columns) => {
    const lines = view.table(domains, columns);
    const lengths = lines.map((line) => [...line].length);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(columns);
    expect(Math.max(...lengths)).toBeGreaterThan(columns - 5);
    expect(lines).toHaveLength(1 + 3 + 1);
  });

  it('says what there is, and nothing where nothing is', () => {
    const [head, web1, long, standby, why] = view.table(domains, 80);
    expect(head).toMatch(/^DOMAIN +ROLE +STATE +PAUSE ms +LATENCY ms +DIRTY MiB\/s +LAG ms$/);
    expect(web1).toMatch(/^web1 +primary protected +2\.40 █+ 9\.60 █+ 3\.00 █+ +12k █+$/);
    expect(long).toMatch(/^a-domain-wi… primary degraded/);
    expect(standby?.trimEnd()).toMatch(/^standby +backup +protected( +-){4}$/);
    expect(why).toMatch(/^a-domain-with-a-very-long-name: WIRE_TIMED_OUT: x+…$/);
  });

  it('forgets a domain that is gone', () => {
    const fresh = new LiveView();
    fresh.sample([status('web1', 9)]);
    fresh.sample([]);
    fresh.sample([status('web1', 1)]);
    expect(fresh.table([status('web1', 1)], 80)[1]).toMatch(/1\.00 +█ /);
  });

  it('says so when nothing is protected', () => {
    expect(view.table([], 80)).toEqual(['no domain is protected on this host']);
  });
});

it('one domain fits as well, with all that is known of it', () => {
  const view = new LiveView();
  const one = status('web1', 2.4, { peer: '10.0.0.2:1', warnings: ['w'.repeat(300)] });
  view.sample([one]);
  const lines = view.domain(one, 80, new Date('2026-11-22T00:03:12.000Z'));
  for (const line of lines) expect([...line].length, line).toBeLessThanOrEqual(80);
  expect(lines[0]).toBe('web1  primary  protected for 3m12s');
  expect(lines[2]).toMatch(/^pause +2\.40 ms +█ {2}the guest stands still, per epoch$/);
  expect(lines.filter((line) => line.startsWith('state:'))).toEqual([]);
  expect(lines).toContain('peer:           10.0.0.2:1');
});
