"""The look of a comparison: light and dark, wide and narrow, on paper."""

from __future__ import annotations

from recattn.pages.sheet import STYLE as HOUSE

COLOURS = 8  # contenders that have a colour of their own; later ones share from the start
_LIGHT = ("#1f6fbd", "#c8590f", "#1d8a5a", "#8d4fc4", "#b8860b", "#c43d6b", "#0f8b98", "#6b7a1e")
_DARK = ("#5ca5f0", "#f08c46", "#4fc58e", "#bd8df0", "#e0b546", "#f07fa5", "#4cc4d0", "#b3c45a")


def _colours(values: tuple[str, ...]) -> str:
    return " ".join(f"--c{number}: {value};" for number, value in enumerate(values))


STYLE = (
    HOUSE
    + f"""
:root {{ {_colours(_LIGHT)} --good: 29 138 90; --bad: 196 61 61; --base: #8a95a3; }}
@media (prefers-color-scheme: dark) {{ :root {{ {_colours(_DARK)} --good: 79 197 142; --bad: 240 110 110; }} }}
"""
    + """
nav { display: flex; flex-wrap: wrap; gap: .3rem 1.1rem; margin: .8rem 0 0; font-size: .92em; }
a { color: rgb(var(--up)); text-underline-offset: .15em; } :focus-visible { outline: 2px solid rgb(var(--up));
  outline-offset: 2px; border-radius: 3px; }
.verdicts { list-style: none; margin: 1rem 0 0; padding: 0; display: grid; gap: .5rem; }
.verdicts li { display: grid; grid-template-columns: 7.2rem 1fr; gap: .2rem .9rem; align-items: baseline;
  padding: .55rem .8rem; border-radius: 8px; background: var(--band); }
.badge { font-weight: 600; font-size: .88em; white-space: nowrap; color: var(--soft); }
.badge::before { content: "○ "; } .better { color: rgb(var(--good)); } .worse { color: rgb(var(--bad)); }
.better::before { content: "▲ "; } .worse::before { content: "▼ "; }
.notes { margin: 1rem 0 0; padding: .6rem .9rem .6rem 1.9rem; border-left: 4px solid rgb(var(--down));
  background: var(--band); border-radius: 0 8px 8px 0; }
.forest { display: grid; grid-template-columns: minmax(6rem, 15rem) minmax(9rem, 1fr) max-content max-content;
  align-items: center; column-gap: 1rem; font-variant-numeric: tabular-nums; }
.forest > .who { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.forest > .num { text-align: right; font-size: .9em; white-space: nowrap; }
.forest > .num small { display: block; line-height: 1.2; }
.forest > .head { color: var(--soft); font-size: .85em; }
.track { position: relative; height: 2.7rem; background: var(--band); border-left: 1px solid var(--line);
  border-right: 1px solid var(--line); }
.small .track { height: 1.3rem; background: none; border: 0; }
.track > i { position: absolute; top: 0; bottom: 0; width: 0; border-left: 1.5px dashed var(--base); }
.bar { position: absolute; top: calc(50% - 2px); height: 4px; border-radius: 2px; background: var(--c); opacity: .55;
  min-width: 2px; }
.dot { position: absolute; top: calc(50% - 6px); width: 12px; height: 12px; margin-left: -6px; border-radius: 50%;
  background: var(--c); border: 2px solid var(--paper); box-shadow: 0 0 0 1px var(--c); }
.hollow { background: var(--paper); }
.small .dot { width: 9px; height: 9px; top: calc(50% - 4.5px); margin-left: -4.5px; border-width: 1px; }
.small .bar { top: calc(50% - 1.5px); height: 3px; }
.scale { position: relative; height: 1.3rem; color: var(--soft); font-size: .8em; }
.scale span { position: absolute; transform: translateX(-50%); white-space: nowrap; }
.scale span:first-child { transform: none; } .scale span:last-child { transform: translateX(-100%); }
.panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 21rem), 1fr)); gap: 1rem 1.4rem;
  align-items: start; }
.panel { border: 1px solid var(--line); border-radius: 8px; padding: .7rem .9rem .6rem; min-width: 0; }
.panel h3 { margin: 0 0 .4rem; overflow: hidden; text-overflow: ellipsis; }
.small { display: grid; grid-template-columns: 6.2rem 1fr; column-gap: .7rem; align-items: center; }
.small .who { font-size: .88em; line-height: 1.15; padding: .25rem 0; } .small .who small { display: block; }
.small .tracks { border-bottom: 1px solid var(--line); background: var(--band); position: relative; padding: .1rem 0; }
.key { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; margin: .4rem 0 .9rem; font-size: .9em; }
.key span { display: inline-flex; align-items: center; gap: .4rem; } .key i { width: .8rem; height: .8rem;
  border-radius: 50%; background: var(--c); }
.shares { display: flex; height: 1.1rem; border-radius: 4px; overflow: hidden; background: var(--line); }
.shares b { background: rgb(var(--good)); } .shares u { background: rgb(var(--bad)); margin-left: auto; }
svg { display: block; width: 100%; height: auto; overflow: visible; } svg text { fill: var(--soft); font-size: 11px; }
svg .axis { stroke: var(--line); } svg .zero { stroke: var(--base); stroke-dasharray: 3 3; }
.wide { overflow-x: auto; padding-bottom: .3rem; }
.figures { border-collapse: collapse; border-spacing: 0; width: 100%; }
.figures th, .figures td { padding: .3rem .9rem .3rem 0; border-bottom: 1px solid var(--line); text-align: right;
  white-space: nowrap; }
.figures th:first-child, .figures td.text { text-align: left; white-space: normal; }
.figures thead th { text-align: right; white-space: normal; min-width: 5rem; }
.figures thead th:first-child, .figures thead th.text { text-align: left; }
.figures small { display: block; } .figures td.lead { font-weight: 700; }
.figures .who { max-width: 16rem; overflow: hidden; text-overflow: ellipsis; }
.heat td { min-width: 3.6rem; height: 2.2rem; text-align: center; border-radius: 4px;
  background: linear-gradient(rgb(var(--up) / var(--a)) 0 0) var(--band); padding: 0 .4rem; }
.heat thead th { text-align: center; max-width: 8rem; padding: 0 .3rem .2rem; }
.heat tbody th { text-align: right; padding-right: .7rem; max-width: 14rem; }
.heat td small { color: inherit; opacity: .8; } .heat td.self { color: var(--soft); background: var(--band); }
.swap { display: grid; grid-template-columns: 1fr 1fr; gap: 0 1.4rem; }
.swap ol { columns: auto; padding-left: 1.9rem; }
.swap .gone { color: rgb(var(--bad)); } .swap .came { color: rgb(var(--good)); font-weight: 600; }
details + details { margin-top: .5rem; } code { font: .92em ui-monospace, "DejaVu Sans Mono", monospace; }
@media (max-width: 700px) {
  .verdicts li { grid-template-columns: 1fr; }
  .forest { grid-template-columns: minmax(0, 1fr) max-content max-content; column-gap: .8rem;
    grid-auto-flow: dense; }
  .forest > .track, .forest > .scale { grid-column: 1 / -1; grid-row: auto; } .forest > span:empty,
  .forest > .head:nth-child(2) { display: none; }
  .forest > .track { height: 1.8rem; margin-bottom: .6rem; }
  .forest > .num small { font-size: .78em; }
}
@media print {
  :root { color-scheme: light; } nav { display: none; } body { max-width: none; padding: 0; font-size: 11pt; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  section, .panel, .verdicts li, tr { break-inside: avoid; } .wide { overflow: visible; }
}
"""
)
