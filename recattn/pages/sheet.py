"""The document around the sections, with all its style in it."""

from __future__ import annotations

from collections.abc import Sequence

from recattn.pages.section import Section, plural

STYLE = """
:root { color-scheme: light dark; --ink: #1c2733; --soft: #5b6775; --paper: #fff; --line: #dde2e8; --band: #f4f6f8;
  --up: 31 111 189; --down: 214 96 20; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e9ef; --soft: #9aa7b5; --paper: #14191f; --line: #2d3640;
  --band: #1c232b; --up: 92 165 240; --down: 240 140 70; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 1160px; color: var(--ink); background: var(--paper);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; margin: 0 0 .3rem; } h2 { font-size: 1.25rem; margin: 0 0 .6rem; }
h3 { font-size: 1rem; margin: 1.3rem 0 .4rem; } small, time, .note, .legend { color: var(--soft); }
small, time { font-size: .85em; font-weight: normal; }
section { margin-top: 2rem; padding-top: 1.4rem; border-top: 2px solid var(--line); }
.note, .lead { margin: .3rem 0 .6rem; }
details { background: var(--band); border-radius: 6px; padding: .5rem .8rem; } summary { cursor: pointer; }
details ol { margin: .5rem 0 .2rem; padding-left: 2.6rem; columns: 21rem; column-gap: 2.5rem; font-size: .92em; }
.map { overflow-x: auto; padding-bottom: .3rem; direction: rtl; text-align: left; }
.map table { direction: ltr; margin-right: auto; }
table { overflow-wrap: normal; border-collapse: separate; border-spacing: 1px; font-variant-numeric: tabular-nums; }
th { font-weight: normal; text-align: left; } thead th { vertical-align: bottom; color: var(--soft); font-size: .85em; }
.map thead th:not(.corner) { width: 24px; min-width: 24px; padding: 0; text-align: center; }
.map thead th span { writing-mode: vertical-rl; transform: rotate(180deg); display: block; width: 24px;
  line-height: 24px; height: 9.5rem; overflow: hidden; white-space: nowrap; text-overflow: ellipsis; text-align: left; }
.map thead b { display: block; font-size: .68rem; font-weight: normal; letter-spacing: -.03em; white-space: nowrap; }
.map tbody th, .map .corner { position: sticky; left: 0; background: var(--paper); z-index: 1; padding-right: .6rem; }
.map tbody th { white-space: nowrap; }
.map tbody th span { display: inline-block; width: 13rem; overflow: hidden; text-overflow: ellipsis;
  vertical-align: bottom; }
.map tbody b { display: inline-block; width: 3.6rem; text-align: right; font-weight: normal; }
.score { text-align: right; white-space: nowrap; padding: 0 .6rem 0 .3rem; }
.map td { width: 24px; min-width: 24px; height: 24px; padding: 0; text-align: center; line-height: 1;
  border-radius: 3px; background: var(--band); font-weight: bold; }
td.up { background: linear-gradient(rgb(var(--up) / var(--a)) 0 0) var(--band) !important; }
td.down { background: linear-gradient(rgb(var(--down) / var(--a)) 0 0) var(--band) !important; }
.plain th, .plain td { padding: .15rem 1rem .15rem 0; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem .6rem; align-items: center; font-size: .9em; margin: .4rem 0 0; }
.ramp { width: 9rem; height: .8rem; border-radius: 3px;
  background: linear-gradient(90deg, rgb(var(--down)), rgb(var(--down) / .5) 37.5%, transparent,
    rgb(var(--up) / .5) 62.5%, rgb(var(--up))) var(--band); }
.reasons { margin: 0; padding-left: 2.2rem; } .reasons li { margin: .2rem 0; } em { font-style: normal; }
.reasons em { border-bottom: 1px solid var(--line); }
@media (max-width: 700px) { .map tbody th span { width: 7.5rem; } body { font-size: 14px; } }
"""


def sheet(sections: Sequence[Section], *, total: int, score: str) -> str:
    """One HTML document of these sections, out of `total` requests, about the `score` of a model."""
    some = f"A sample of {len(sections):,} of {total:,} requests" if len(sections) < total else plural(total, "request")
    lead = (
        f"{some}. Each past interaction was masked in turn, and the request scored again ({score} score). A change is "
        "the score minus the score without the interaction: it says what would be missing, not why people like things. "
        "Changes do not add up to the score."
    )
    body = "\n".join(section.html() for section in sections)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Why these scores</title><style>{STYLE}</style></head>\n"
        f"<body><h1>Why these scores</h1><p class=lead>{lead}</p>\n{body}\n</body></html>\n"
    )
