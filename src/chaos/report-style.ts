/** How the report looks, in light and dark, from 800 px on. Pure. */
export const STYLE = `
:root { color-scheme: light dark;
  --page: #fff; --ink: #1c2330; --dim: #667085; --line: #d9dee7; --soft: #f4f6f9;
  --good: #1a7f4b; --bad: #c0352b; --fault: #c0352b; --latency: #3f6fb5;
  --protected: #bfe5cf; --busy: #c6dbf5; --held: #f8dfa8; --moving: #ddcdf3; --ended: #f3c2bd; --idle: #e6e9ef; --silent: #aab2bf; }
@media (prefers-color-scheme: dark) { :root {
  --page: #14181f; --ink: #e3e8f0; --dim: #97a1b3; --line: #333c4a; --soft: #1c222c;
  --good: #5cc98f; --bad: #ff8a7d; --fault: #ff8a7d; --latency: #7fa9e8;
  --protected: #1f5a3c; --busy: #234a75; --held: #6d5318; --moving: #4d3a72; --ended: #74322c; --idle: #2b3340; --silent: #4b5563; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1040px; padding: 24px 20px 60px; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 24px; margin: 0 0 4px; } h2 { font-size: 18px; margin: 32px 0 8px; }
.verdict { font-weight: 600; } .verdict.ok { color: var(--good); } .verdict.bad { color: var(--bad); }
.dim, figcaption { color: var(--dim); } code { font: 13px/1.4 ui-monospace, monospace; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th, td { text-align: left; padding: 4px 10px 4px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
table.facts { width: auto; } table.facts td:first-child { color: var(--dim); padding-right: 24px; }
tr.bad td { color: var(--bad); } ul.broken { color: var(--bad); overflow-wrap: anywhere; }
figure { margin: 0 0 18px; } svg { width: 100%; height: auto; display: block; }
svg text { font: 10px system-ui, sans-serif; fill: var(--ink); } svg .label { font-size: 11px; fill: var(--dim); }
svg .tick { fill: var(--dim); } svg .grid { stroke: var(--line); fill: none; stroke-width: .6; } svg .axis { stroke: var(--dim); }
svg .fault rect { fill: var(--fault); opacity: .16; } svg .fault text { font-weight: 600; fill: var(--fault); }
svg .fault.bad rect { opacity: .4; } svg .latency { stroke: var(--latency); fill: none; }
.state rect, .key i { fill: var(--idle); background: var(--idle); }
.s-protected rect, .key .s-protected { fill: var(--protected); background: var(--protected); }
.s-syncing rect, .s-re-protecting rect, .key .s-syncing { fill: var(--busy); background: var(--busy); }
.s-degraded rect, .s-exposed rect, .s-paused rect, .key .s-degraded { fill: var(--held); background: var(--held); }
.s-promoting rect, .s-promoted rect, .s-switching-over rect, .key .s-promoted { fill: var(--moving); background: var(--moving); }
.s-fenced rect, .s-failed rect, .key .s-failed { fill: var(--ended); background: var(--ended); }
.s-silent rect, .key .s-silent { fill: var(--silent); background: var(--silent); }
.key span { margin-right: 16px; white-space: nowrap; } .key i { display: inline-block; width: 12px; height: 12px; margin-right: 5px; vertical-align: -1px; }
details { margin: 8px 0; } pre { background: var(--soft); padding: 10px; overflow-x: auto; font: 12px/1.4 ui-monospace, monospace; }
`;
