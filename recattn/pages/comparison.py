"""A page of one comparison: what was found, for whom, at what cost, under which rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape

import pandas as pd

from recattn.comparison import ComparisonResult
from recattn.comparison.words import metric_title
from recattn.pages.comparison_lists import changed_lists, exposure, heat_map
from recattn.pages.comparison_style import COLOURS, STYLE
from recattn.pages.comparison_tables import costs, metrics, policy, settings
from recattn.pages.plots import Scale, curves, histogram, signed, track
from recattn.pages.words import count_of, percent

_CURVES = 4
_BASE = "var(--base)"


def comparison_page(result: ComparisonResult) -> str:
    """One HTML document, without scripts and without anything from elsewhere."""
    order = [result.reference, *result.headline["contender"]]
    colours = {name: f"var(--c{place % COLOURS})" for place, name in enumerate(order[1:])} | {result.reference: _BASE}
    sections = {
        "Differences": _forest(result, colours),
        "All metrics": metrics(result),
        "For whom": _segments(result, colours),
        "Request by request": _requests(result),
        "Learning curves": _curves(result, colours),
        "Lists": heat_map(result) + exposure(result) + changed_lists(result),
        "Settings": settings(result),
        "Cost": costs(result),
        "Rules": policy(result),
    }
    shown = {name: body for name, body in sections.items() if body}
    links = "".join(f'<a href="#{_anchor(name)}">{name}</a>' for name in shown)
    parts = [f'<section id="{_anchor(name)}"><h2>{name}</h2>{body}</section>' for name, body in shown.items()]
    title = f"{metric_title(result.metric)} against {result.reference}"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body><header><h1>{escape(title)}</h1>"
        f"{_lead(result)}<nav aria-label=Sections>{links}</nav></header>\n<main>{_verdicts(result)}{_notes(result)}\n"
        + "\n".join(parts)
        + "</main></body></html>\n"
    )


def _anchor(name: str) -> str:
    return name.lower().replace(" ", "-")


def _lead(result: ComparisonResult) -> str:
    about = result.contenders.iloc[0]
    seeds = result.contenders["seeds"]
    drawn = f"{about['users']:,} users" + (" and the seeds of each contender" if (seeds > 1).any() else "")
    tests = len(result.headline)
    return (
        f"<p class=lead>{count_of(len(result.contenders), 'contender')}, judged on the same "
        f"{count_of(int(about['requests']), 'request')}. Intervals hold {result.confidence:.0%} and come from a paired "
        f"bootstrap over {drawn}; p-values are corrected for {count_of(tests, 'comparison')} by Holm's procedure.</p>"
    )


def _verdicts(result: ComparisonResult) -> str:
    lines = []
    for row, words in zip(result.headline.to_dict("records"), result.verdicts(), strict=True):
        kind = ("better" if row["difference"] > 0 else "worse") if row["significant"] else "open"
        badge = kind if row["significant"] else "not shown"
        lines.append(f"<li><span class='badge {kind}'>{badge}</span><span>{escape(words)}</span></li>")
    return f"<ul class=verdicts>{''.join(lines)}</ul>"


def _notes(result: ComparisonResult) -> str:
    lines = "".join(f"<li>{escape(note)}</li>" for note in result.notes)
    return f"<ul class=notes>{lines}</ul>" if lines else ""


def _forest(result: ComparisonResult, colours: Mapping[str, str]) -> str:
    rows = result.headline
    scale = Scale.around_zero([*rows["low"], *rows["high"]])
    name = metric_title(result.metric)
    base = rows["reference"].iloc[0]
    parts = [
        f"<span class='who head'>{name}</span><span class=head>difference from {escape(result.reference)} "
        f"({base:.4f})</span><span class='num head'>difference</span><span class='num head'>Holm p</span>"
    ]
    for row in rows.to_dict("records"):
        share = percent(row["relative"])
        said = (
            f"{row['contender']}: {signed(row['difference'])}, {signed(row['low'])} to {signed(row['high'])}, "
            f"Holm p = {row['p_holm']:.2g}"
        )
        ends = {"value": row["difference"], "low": row["low"], "high": row["high"]}
        drawn = track(scale, **ends, colour=colours[row["contender"]], solid=row["significant"], title=said)
        parts.append(
            f'<span class=who title="{escape(row["contender"])}">{escape(row["contender"])}</span>{drawn}'
            f"<span class=num><b>{signed(row['difference'])}</b>{f' ({share})' if share else ''}"
            f"<small>{signed(row['low'])} to {signed(row['high'])}</small></span>"
            f"<span class=num>{row['p_holm']:.2g}</span>"
        )
    parts.append(f"<span></span>{scale.axis()}<span></span><span></span>")
    note = (
        f"<p class=note>Points are differences of {name}, lines their intervals (each by itself, not corrected). "
        "Filled points differ after Holm's correction, hollow ones are not shown to. Dashed: no difference.</p>"
    )
    return f"<div class=forest>{''.join(parts)}</div>{note}"


def _key(names: Sequence[str], colours: Mapping[str, str]) -> str:
    marks = "".join(f'<span style="--c:{colours[name]}"><i></i>{escape(name)}</span>' for name in names)
    return f"<div class=key>{marks}</div>"


def _segments(result: ComparisonResult, colours: Mapping[str, str]) -> str:
    if not len(result.segments):
        return ""
    frame = result.segments
    names = [name for name in result.headline["contender"] if name in set(frame["contender"])][:COLOURS]
    left_out = frame["contender"].nunique() - len(names)
    frame = frame[frame["contender"].isin(names)]
    scale = Scale.around_zero([*frame["low"], *frame["high"]])
    panels = [
        f"<div class=panel><h3>{escape(column.replace('_', ' '))}</h3>{_panel(group, names, scale, colours)}</div>"
        for column, group in ((str(name), group) for name, group in frame.groupby("column", sort=False))
    ]
    more = f" {count_of(left_out, 'contender')} of smaller difference left out." if left_out else ""
    note = (
        f"<p class=note>Difference of {metric_title(result.metric)} within each group of requests. Looked at in "
        f"{len(result.segments)} places, some difference always seems large: filled points differ after Holm's "
        f"correction over all of them, hollow ones may be chance.{more}</p>"
    )
    return f"{note}{_key(names, colours)}<div class=panels>{''.join(panels)}</div>"


def _panel(group: pd.DataFrame, names: Sequence[str], scale: Scale, colours: Mapping[str, str]) -> str:
    parts = []
    for segment, rows in group.groupby("segment", sort=False):
        by = {str(row["contender"]): row for row in rows.to_dict("records")}
        tracks = []
        for name in names:
            row = by[name]
            said = f"{name}, {segment}: {signed(row['difference'])}, {signed(row['low'])} to {signed(row['high'])}"
            ends = {"value": row["difference"], "low": row["low"], "high": row["high"]}
            tracks.append(track(scale, **ends, colour=colours[name], solid=row["significant"], title=said))
        size = f"<small>{int(rows['requests'].iloc[0]):,}</small>"
        parts.append(f"<span class=who>{escape(str(segment))}{size}</span><div class=tracks>{''.join(tracks)}</div>")
    return f"<div class=small>{''.join(parts)}<span></span>{scale.axis()}</div>"


def _requests(result: ComparisonResult) -> str:
    name = metric_title(result.metric)
    panels = []
    for row in result.differences.to_dict("records"):
        said = f"{row['better']:.1%} better, {row['equal']:.1%} equal, {row['worse']:.1%} worse"
        plot = histogram(row["histogram"], row["edges"], f"{row['contender']}: differences that are not 0, {said}")
        panels.append(
            f"<div class=panel><h3>{escape(row['contender'])}</h3><div class=shares aria-hidden=true>"
            f'<b style="width:{row["better"]:.2%}"></b><u style="width:{row["worse"]:.2%}"></u></div>'
            f"<p class=note>{said}</p>{plot}</div>"
        )
    note = (
        f"<p class=note>In how many requests {name} is better or worse than that of {escape(result.reference)}, and by "
        "how much where it differs at all (heights by their square root).</p>"
    )
    return f"{note}<div class=panels>{''.join(panels)}</div>"


def _curves(result: ComparisonResult, colours: Mapping[str, str]) -> str:
    panels = [
        f"<div class=panel><h3>{escape(name)}</h3>{curves(lines, colours, f'{name} by epoch')}</div>"
        for name, lines in _shared_curves(result)
    ]
    if not panels:
        return ""
    names = [name for name in colours if name in result.curves]
    return f"{_key(names, colours)}<div class=panels>{''.join(panels)}</div>"


def _shared_curves(result: ComparisonResult) -> Iterator[tuple[str, dict[str, Mapping[int, float]]]]:
    """Curves of two epochs at least, those most contenders have and people ask for first."""
    known = dict.fromkeys(name for one in result.curves.values() for name in one)
    lines = {
        name: {who: one[name] for who, one in result.curves.items() if len(one.get(name, {})) > 1} for name in known
    }
    asked = [f"valid/{result.metric}", "train/loss", "valid/loss"]

    def place(name: str) -> tuple[int, int]:
        return (asked.index(name) if name in asked else len(asked), -len(lines[name]))

    for name in sorted((name for name in lines if lines[name]), key=place)[:_CURVES]:
        yield name, lines[name]
