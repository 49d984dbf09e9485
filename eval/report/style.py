"""How the page looks: plain, in light and dark, on paper too. A constant, so that the page needs no file beside it."""

STYLE = """
:root { color-scheme: light dark;
  --ground: #f6f7f9; --card: #fff; --ink: #16191d; --quiet: #59626d; --line: #d9dee4; --accent: #1d5fd0;
  --good: #17703a; --bad: #a5261d; --bar: #9dbdf0; }
@media (prefers-color-scheme: dark) { :root {
  --ground: #121417; --card: #1b1e23; --ink: #e8eaed; --quiet: #a0a8b3; --line: #343a42; --accent: #83b0ff;
  --good: #7fd49a; --bad: #ff9d94; --bar: #33507f; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
main { max-width: 74rem; margin: 0 auto; padding: 1.5rem 1.25rem 4rem; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 0 0 .5rem; }
section { background: var(--card); border: 1px solid var(--line); border-radius: .75rem;
  padding: 1rem 1.2rem; margin-top: 1rem; }
p { margin: .4rem 0; max-width: 62rem; }
.quiet, figcaption { color: var(--quiet); font-size: .9rem; }
.verdict { font-size: 1.15rem; font-weight: 600; }
.helps { border-left: .4rem solid var(--good); } .hurts { border-left: .4rem solid var(--bad); }
.shown { border-left: .4rem solid var(--quiet); }
.wide { overflow-x: auto; margin: .5rem 0; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; text-align: left; }
th { font-weight: 600; color: var(--quiet); }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.word { overflow-wrap: anywhere; min-width: 9rem; }
.interval { color: var(--quiet); font-size: .85em; }
.bar { display: inline-block; height: .7rem; margin-right: .5rem; background: var(--bar); border-radius: .2rem; }
.pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(19rem, 1fr)); gap: 1rem; }
figure { margin: 0; }
svg { width: 100%; height: auto; color: var(--ink); }
summary { cursor: pointer; color: var(--accent); margin: .4rem 0; }
dt { font-weight: 600; } dd { margin: 0 0 .4rem 1.2rem; overflow-wrap: anywhere; }
li { overflow-wrap: anywhere; }
@media print { body { background: #fff; } section { break-inside: avoid; } }
"""
