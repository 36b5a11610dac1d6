/** The report of a run: one HTML file that needs nothing else, also years later. Pure. */
import { Html, html, join } from './html.js';
import { STYLE } from './report-style.js';
import { spansOf, timelineSvg } from './report-timeline.js';
import type { ChaosFacts, ChaosVerdict, FaultRecord } from './verdict.js';

export function htmlReport(facts: ChaosFacts, verdict: ChaosVerdict): string {
  const title = `${facts.domain}: ${facts.records.length} faults`;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${new Html(STYLE)}</style>
</head>
<body>
<h1>${title}</h1>
${judgement(verdict)}
<p class="dim">${facts.startedAt} to ${facts.endedAt}<br>again: <code>${facts.command}</code></p>
${figures(facts, verdict)}
<h2>Timeline</h2>
<p class="dim key">${key()}</p>
<p class="dim">Numbers are faults, shaded while they last. Below both hosts: the slowest answer of each quarter of a second to a client that writes; a gap is time without an answer.</p>
${join(spansOf(facts).map((span) => html`<figure>${timelineSvg(facts, span)}</figure>`))}
<h2>Faults</h2>
${faultTable(facts.records)}
${evidence(facts.records)}
</body>
</html>
`.text;
}

function judgement({ ok, broken }: ChaosVerdict): Html {
  if (ok) {
    return html`<p class="verdict ok">Nothing was lost, and the domain was protected again after each fault without help.</p>`;
  }
  return html`<p class="verdict bad">The promise was broken.</p>
<ul class="broken">${join(broken.map((what) => html`<li>${what}</li>`))}</ul>`;
}

function figures(facts: ChaosFacts, verdict: ChaosVerdict): Html {
  const { workload, beacon, voices, seed, unsafeFaults } = facts;
  const rows: (readonly [string, string])[] = [
    ['faults', `${facts.records.length} of ${facts.planned}`],
    ['takeovers', String(facts.promotions)],
    [
      'protected again',
      `${seconds(verdict.protectedAgainMs.median)} (median), ${seconds(verdict.protectedAgainMs.max)} (longest)`,
    ],
    ...(seed === undefined ? [] : ([['seed', String(seed)]] as const)),
    ...(unsafeFaults.length === 0 ? [] : ([['planted bugs', unsafeFaults.join(', ')]] as const)),
    ...(workload === undefined
      ? ([['client', 'none: lost writes would not have been seen']] as const)
      : ([
          ['answered writes', String(workload.ackedWrites)],
          ['of these lost', String(workload.lostWrites)],
          ['connections lost', String(workload.lostConnections.length)],
        ] as const)),
    ...(beacon === undefined
      ? []
      : ([
          [
            'packets heard that the guest has forgotten',
            `${beacon.forgotten} of ${beacon.packets}`,
          ],
        ] as const)),
    ...(voices === undefined
      ? []
      : ([
          ['packets heard of both hosts', `${voices.heardOfBoth} of ${voices.heard}`],
          ['times another host was heard', String(voices.changes)],
        ] as const)),
  ];
  return html`<table class="facts">${join(
    rows.map(([name, value]) => html`<tr><td>${name}</td><td>${value}</td></tr>`),
  )}</table>`;
}

/** One colour stands for states of one kind. */
const KEY = [
  ['protected', 'protected'],
  ['syncing', 'syncing, re-protecting'],
  ['degraded', 'degraded, exposed, paused'],
  ['promoted', 'promoting, promoted, switching-over'],
  ['failed', 'failed, fenced'],
  ['unprotected', 'unprotected'],
  ['silent', 'no answer'],
] as const;

function key(): Html {
  return join(KEY.map(([name, text]) => html`<span><i class="s-${name}"></i>${text}</span>`));
}

function faultTable(records: readonly FaultRecord[]): Html {
  return html`<table>
<tr><th class="n">#</th><th>fault</th><th>host</th><th class="n">protected again</th><th class="n">silence</th><th class="n">term</th><th class="n">lost</th></tr>
${join(records.map(faultRow))}
</table>`;
}

function faultRow(record: FaultRecord): Html {
  const { number, fault, note, host, on, failure, termBefore, termAfter, lostWrites } = record;
  const { protectedAgainMs, silenceMs } = record;
  const why = failure === undefined ? '' : `${failure.code}: ${failure.message}`;
  const again = protectedAgainMs === undefined ? '—' : seconds(protectedAgainMs);
  const silence = silenceMs === undefined ? '—' : seconds(silenceMs);
  const moved = termAfter !== undefined && termAfter !== termBefore;
  const term = moved ? `${termBefore} → ${termAfter}` : (termBefore ?? '—');
  return html`<tr class="${failure === undefined ? '' : 'bad'}"><td class="n">${number}</td><td><b>${fault}</b><br><span class="dim">${note}</span>${
    why === '' ? '' : html`<br>${why}`
  }</td><td>${host} <span class="dim">${on}</span></td><td class="n">${again}</td><td class="n">${silence}</td><td class="n">${term}</td><td class="n">${lostWrites ?? '—'}</td></tr>`;
}

function evidence(records: readonly FaultRecord[]): Html {
  const failed = records.filter(({ evidence: lines }) => lines !== undefined);
  if (failed.length === 0) return html``;
  return html`<h2>What hosts said</h2>
${join(
  failed.map(
    ({ number, note, evidence: lines }) =>
      html`<details><summary>${number}. ${note}</summary><pre>${(lines ?? []).join('\n')}</pre></details>`,
  ),
)}`;
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
