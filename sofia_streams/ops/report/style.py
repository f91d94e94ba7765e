"""The style of a report's page. Colours are told apart without telling red from green: blue and orange."""

STYLE = """
:root { color-scheme: light dark; --ink: #1c2330; --paper: #fff; --soft: #5d6878; --rule: #dfe4ea; --box: #f5f7f9;
  --up: #1f6fb5; --down: #c9590c; --warn: #fff4d6; --warn-ink: #6b4a00;
  --c0: #1f6fb5; --c1: #7a828e; --c2: #c9590c; --c3: #7b4fb0; --c4: #2a8a6a; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e8ee; --paper: #14181f; --soft: #97a3b4; --rule: #2c3440; --box: #1c222b;
    --up: #5aa9ee; --down: #f0935a; --warn: #3a2f12; --warn-ink: #f3d999;
    --c0: #5aa9ee; --c1: #97a3b4; --c2: #f0935a; --c3: #b493e6; --c4: #5fc7a3; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.45 system-ui, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 24px 20px 48px; }
h1 { font-size: 26px; margin: 0 0 4px; }
h2 { font-size: 18px; margin: 34px 0 8px; } h3 { font-size: 14px; margin: 0 0 4px; }
.note { color: var(--soft); font-size: 13px; } p.note { margin: 4px 0 8px; }
.warnings { background: var(--warn); color: var(--warn-ink); border-radius: 8px; margin: 14px 0;
  padding: 10px 14px 10px 32px; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(140px, 1fr)); gap: 10px; margin: 14px 0; }
.card { background: var(--box); border-radius: 8px; padding: 10px 14px; }
.card span { display: block; color: var(--soft); font-size: 13px; } .card b { font-size: 21px; }
.columns { columns: 2 400px; column-gap: 36px; } section { break-inside: avoid; padding-bottom: 22px; }
table { border-collapse: collapse; width: 100%; font-size: 13px; }
th, td { text-align: left; padding: 4px 8px 4px 0; border-bottom: 1px solid var(--rule); font-weight: 400;
  vertical-align: top; }
tr:first-child > th:not(:first-child) { color: var(--soft); } th.n { text-align: right; }
.n, .card b { font-variant-numeric: tabular-nums; } td.n { text-align: right; white-space: nowrap; }
td.note { padding-left: 8px; }
.chosen > * { font-weight: 700; } .gain td:last-child { color: var(--up); } .loss td:last-child { color: var(--down); }
.months th, .months td { text-align: right; padding: 4px 6px; }
.months .up { background: color-mix(in srgb, var(--up) var(--depth), transparent); }
.months .down { background: color-mix(in srgb, var(--down) var(--depth), transparent); }
svg { display: block; width: 100%; height: auto; } svg text { font-size: 12px; fill: var(--soft); }
.left { text-anchor: end; } .below { text-anchor: middle; }
.grid { stroke: var(--rule); stroke-width: 1; fill: none; }
.line { fill: none; stroke-width: 1.4; stroke-linejoin: round; } .line.c0 { stroke-width: 2; }
.price { stroke: var(--soft); stroke-width: 1.1; }
.fall { fill: color-mix(in srgb, var(--down) 35%, transparent); stroke: var(--down); stroke-width: 1; }
path.buy { fill: var(--up); } path.sell { fill: var(--down); }
path.buy, path.sell { stroke: var(--paper); stroke-width: .6; }
span.buy { color: var(--up); } span.sell { color: var(--down); }
path.c0 { stroke: var(--c0); } path.c1 { stroke: var(--c1); } path.c2 { stroke: var(--c2); }
path.c3 { stroke: var(--c3); } path.c4 { stroke: var(--c4); }
.legend { display: flex; gap: 18px; font-size: 13px; color: var(--soft); margin-bottom: 2px; flex-wrap: wrap; }
.key i { display: inline-block; width: 18px; height: 3px; margin-right: 6px; vertical-align: middle; }
i.c0 { background: var(--c0); } i.c1 { background: var(--c1); } i.c2 { background: var(--c2); }
i.c3 { background: var(--c3); } i.c4 { background: var(--c4); }
details summary { cursor: pointer; color: var(--soft); }
@media (max-width: 520px) { main { overflow-x: auto; padding: 16px 12px; } }
"""
