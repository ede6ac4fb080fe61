/** The page's look: light, dark and in print. Text and lines keep a contrast of 4.5 and 3 to what is behind them. */
export const STYLE = `
:root { color-scheme: light; --bg: #fff; --text: #1c2330; --muted: #5a6373; --line: #d5d9e0; --soft: #f4f6f9; --accent: #0067a3; --bad: #b3261e; --mark: #fff3d6; --shade: #1c233033; }
:root[data-theme="dark"] { color-scheme: dark; --bg: #14181f; --text: #e8ebf0; --muted: #a3adbd; --line: #39414e; --soft: #1c222c; --accent: #56b4e9; --bad: #ff9c94; --mark: #3b3118; --shade: #000c; }
* { box-sizing: border-box; }
html { scroll-padding-top: 4.5rem; }
body { margin: 0; background: var(--bg); color: var(--text); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "Liberation Sans", Arial, sans-serif; }
header, main, footer { max-width: 1320px; margin: 0 auto; padding: 0 20px; }
header { padding-top: 20px; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .2rem; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.2rem 0 .6rem; padding-bottom: .25rem; border-bottom: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 0 0 .15rem; }
p { margin: .3rem 0; }
a { color: var(--accent); }
.lead, figcaption, .quiet { color: var(--muted); }
.lead { overflow-wrap: anywhere; }
.bar { position: sticky; top: 0; z-index: 5; background: var(--bg); border-bottom: 1px solid var(--line); }
.bar > div { max-width: 1320px; margin: 0 auto; padding: 8px 20px; display: flex; flex-wrap: wrap; gap: 8px 14px; align-items: center; }
nav { display: flex; flex-wrap: wrap; gap: 2px 12px; margin: .6rem 0; }
label { display: inline-flex; align-items: center; gap: 6px; color: var(--muted); }
input, select, button { font: inherit; color: var(--text); background: var(--bg); border: 1px solid var(--muted); border-radius: 5px; padding: 3px 8px; min-height: 30px; max-width: 100%; }
input[type="search"] { width: 11rem; }
input[type="checkbox"] { width: 18px; height: 18px; min-height: 0; margin: 0; accent-color: var(--accent); }
button { cursor: pointer; }
button:hover { background: var(--soft); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(128px, 1fr)); gap: 10px; margin: 14px 0 0; padding: 0; }
.cards > div { border: 1px solid var(--line); border-radius: 8px; padding: 8px 12px; background: var(--soft); }
.cards dt { color: var(--muted); font-size: .82rem; }
.cards dd { margin: 0; font-size: 1.1rem; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 560px), 1fr)); gap: 26px 30px; align-items: start; }
figure { margin: 0; min-width: 0; }
figcaption { font-size: .9rem; margin-bottom: 6px; overflow-wrap: anywhere; }
.chart { width: 100%; overflow: hidden; }
.scroll { overflow: auto; max-height: 34rem; border: 1px solid var(--line); border-radius: 6px; background: linear-gradient(to right, var(--bg), var(--bg)) left / 24px 100% no-repeat local, linear-gradient(to left, var(--bg), var(--bg)) right / 24px 100% no-repeat local, linear-gradient(to right, var(--shade), transparent) left / 10px 100% no-repeat, linear-gradient(to left, var(--shade), transparent) right / 10px 100% no-repeat; }
table { border-collapse: collapse; width: 100%; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { padding: 3px 10px; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
th.text, td.text { text-align: left; }
td.wrap { white-space: normal; overflow-wrap: anywhere; min-width: 16rem; text-align: left; }
td.code { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: .82rem; text-align: left; }
thead th { position: sticky; top: 0; background: var(--soft); z-index: 1; }
th button { border: 0; background: none; padding: 0; min-height: 24px; font-weight: 600; }
th button::after { content: "\\2195"; color: var(--muted); margin-left: 4px; }
th[aria-sort="ascending"] button::after { content: "\\2191"; color: var(--text); }
th[aria-sort="descending"] button::after { content: "\\2193"; color: var(--text); }
tbody tr:hover { background: var(--soft); }
.tools { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; margin: 6px 0; }
details { margin: 8px 0; }
summary { cursor: pointer; padding: 3px 0; font-weight: 600; }
pre { background: var(--soft); border: 1px solid var(--line); border-radius: 6px; padding: 10px; overflow: auto; max-height: 30rem; font-size: .82rem; }
ul.messages { list-style: none; padding: 0; margin: 0; }
ul.messages li { border-left: 4px solid var(--muted); padding: 4px 10px; margin: 6px 0; background: var(--soft); overflow-wrap: anywhere; }
ul.messages li.warning { border-left-color: var(--bad); }
.state { display: inline-block; border: 1px solid var(--muted); border-radius: 5px; padding: 0 8px; font-weight: 600; }
.state.failed, .state.gone { border-color: var(--bad); color: var(--bad); }
progress { width: 100%; height: 12px; accent-color: var(--accent); }
.stage { display: grid; grid-template-columns: minmax(7rem, 13rem) minmax(6rem, 1fr) 24rem; gap: 12px; align-items: center; margin: 4px 0; }
.stage > span { overflow-wrap: anywhere; }
@media (max-width: 860px) { .stage { grid-template-columns: 1fr; gap: 2px; } header, main, footer { padding: 0 12px; } .bar { position: static; } .bar > div { padding: 8px 12px; } }
.hidden, [hidden] { display: none !important; }
footer { color: var(--muted); padding-bottom: 30px; margin-top: 2.5rem; overflow-wrap: anywhere; }
@page { margin: 14mm; }
@media print {
  body { font-size: 11px; }
  .bar, nav, .tools, .draw { display: none; }
  header, main, footer { max-width: none; padding: 0; }
  .charts { display: block; }
  figure, .cards > div, tr, li { break-inside: avoid; }
  figure { margin-bottom: 16px; }
  h2, h3 { break-after: avoid; }
  .scroll { max-height: none; overflow: visible; border: 0; }
  thead { display: table-row-group; }
  thead th { position: static; }
  th button::after { content: none !important; }
  th, td { padding: 1px 3px; white-space: normal; }
  td.text, td.wrap, td.code { min-width: 44px; overflow-wrap: anywhere; font-size: inherit; }
  pre { max-height: none; white-space: pre-wrap; overflow-wrap: anywhere; }
  th button { font-size: inherit; min-height: 0; white-space: normal; text-align: inherit; }
  table { font-size: 7px; }
}
`;
